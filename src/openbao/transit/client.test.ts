import { describe, expect, test } from "bun:test";
import { codeOf } from "../../../test/fakes/code-of.ts";
import { inProcessOpenBao } from "../../../test/fakes/in-process-openbao.ts";
import { testMetadata, testMetadataReply } from "../../../test/fakes/key-scope.ts";
import { faults } from "../../../test/fakes/openbao/faults.ts";
import { A, type Answer, scriptedOpenBao } from "../../../test/fakes/scripted-openbao.ts";
import { ProviderError } from "../../base/error-class.ts";
import { Secret } from "../../base/secret.ts";
import { createTransitClient, type TransitClient } from "./client.ts";

const AAD = btoa("associated");
const SEED = Uint8Array.from({ length: 32 }, (_, index) => index);

async function setUp() {
  const bao = await inProcessOpenBao();
  const { fake, openbao, names } = bao;
  const transit = createTransitClient(
    { call: (call) => openbao.call({ ...call, token: new Secret(fake.rootToken) }) },
    { mountPath: names.mount, keyName: names.keyName },
  );
  return { ...bao, transit, keyPath: `${names.mount}/keys/${names.keyName}` };
}

const signal = (): AbortSignal => new AbortController().signal;
const encrypt = (transit: TransitClient, keyVersion = 1, plaintext = SEED): Promise<string> =>
  transit.encrypt({ plaintext, associatedData: AAD, keyVersion }, signal());
const decrypt = (transit: TransitClient, ciphertext: string, associatedData = AAD): Promise<Uint8Array> =>
  transit.decrypt({ ciphertext, associatedData }, signal());

describe("encrypt and decrypt", () => {
  test("give the plaintext back, under every version", async () => {
    const { transit, operator, keyPath } = await setUp();
    const first = await encrypt(transit);
    await operator.must("POST", `${keyPath}/rotate`, {});
    const second = await encrypt(transit, 2);
    expect([first.split(":")[1], second.split(":")[1]]).toEqual(["v1", "v2"]);
    expect(await decrypt(transit, first)).toEqual(SEED);
    expect(await decrypt(transit, second)).toEqual(SEED);
  });

  test("other associated data or a damaged ciphertext does not decrypt", async () => {
    const { transit } = await setUp();
    const ciphertext = await encrypt(transit);
    expect(await codeOf(decrypt(transit, ciphertext, btoa("other")))).toBe("decrypt_failed");
    const flipped = ciphertext.slice(0, 12) + (ciphertext[12] === "A" ? "B" : "A") + ciphertext.slice(13);
    expect(await codeOf(decrypt(transit, flipped))).toBe("decrypt_failed");
  });

  test("what is not canonical never reaches OpenBao", async () => {
    const { transit, fake } = await setUp();
    const ciphertext = await encrypt(transit);
    const before = fake.calls.length;
    for (const text of [
      "",
      "x",
      ciphertext.replace("v1", "v01"),
      `${ciphertext}\n`,
      ciphertext.replace("v1", "v0"),
    ]) {
      expect(await codeOf(decrypt(transit, text))).toBe("ciphertext_malformed");
    }
    expect(await codeOf(encrypt(transit, 1, new Uint8Array(732)))).toBe("plaintext_too_large");
    expect(fake.calls.length).toBe(before);
    expect((await encrypt(transit, 1, new Uint8Array(731))).length).toBeLessThanOrEqual(1024);
  });

  const rewritten: readonly [string, (body: string) => string, string][] = [
    ["another version in the prefix", (body) => body.replace("vault:v1:", "vault:v2:"), "wrong_version"],
    [
      "another version beside it",
      (body) => body.replace('"key_version":1', '"key_version":2'),
      "wrong_version",
    ],
    ["no ciphertext", (body) => body.replace('"ciphertext"', '"other"'), "reply_malformed"],
    ["a prefix of another kind", (body) => body.replace("vault:v1:", "vault:v+1:"), "reply_malformed"],
    [
      "an endless ciphertext",
      (body) => body.replace("vault:v1:", `vault:v1:${"A".repeat(1024)}`),
      "reply_malformed",
    ],
  ];
  test.each(rewritten)("a reply with %s is refused", async (_, rewrite, code) => {
    const { transit, fake } = await setUp();
    fake.inject({ kind: "rewrite", rewrite });
    expect(await codeOf(encrypt(transit))).toBe(code);
  });

  test.each([
    ["no plaintext", (body: string) => body.replace('"plaintext"', '"other"')],
    ["a plaintext that is not base64", (body: string) => body.replace('"plaintext":"', '"plaintext":"*')],
    ["a plaintext without its padding", (body: string) => body.replace('="', '"')],
  ])("a reply with %s is refused", async (_, rewrite) => {
    const { transit, fake } = await setUp();
    const ciphertext = await encrypt(transit);
    fake.inject({ kind: "rewrite", rewrite });
    expect(await codeOf(decrypt(transit, ciphertext))).toBe("reply_malformed");
  });
});

describe("reading the key and the mount", () => {
  test("gives versions in order, and the settings", async () => {
    const { transit, operator, keyPath, clock } = await setUp();
    await operator.must("POST", `${keyPath}/rotate`, {});
    const created = Math.floor(clock.wallMs() / 1000);
    expect(await transit.readKey(signal())).toEqual(
      testMetadata([1, 2], {
        versions: [
          { version: 1, createdAtUnix: created },
          { version: 2, createdAtUnix: created },
        ],
        answeredAtMs: created * 1000,
      }),
    );
    expect(await transit.readDisableUpsert(signal())).toBe(true);
  });

  test.each([
    ["a version that is no number", (body: string) => body.replace('"keys":{"1"', '"keys":{"one"')],
    ["a time that is no number", (body: string) => body.replace(/"keys":\{"1":\d+/, '"keys":{"1":"x"')],
    [
      "a latest version that it does not show",
      (body: string) => body.replace('"latest_version":1', '"latest_version":2'),
    ],
    ["no type", (body: string) => body.replace('"type"', '"kind"')],
  ])("a reply with %s is refused", async (_, rewrite) => {
    const { transit, fake } = await setUp();
    fake.inject({ kind: "rewrite", rewrite });
    expect(await codeOf(transit.readKey(signal()))).toBe("reply_malformed");
  });

  test("a denied call names the path and the capability to allow", async () => {
    const { transit, fake, keyPath } = await setUp();
    fake.inject(faults.denied);
    const error: unknown = await transit.readKey(signal()).catch((each: unknown) => each);
    expect(error).toMatchObject({ code: "permission_denied", errorClass: "transit_policy_denied" });
    expect(error instanceof ProviderError ? error.advice : "").toContain(
      `path "${keyPath}" { capabilities = ["read"] }`,
    );
  });
});

describe("a standby that lags", () => {
  test("is asked again until it has caught up", async () => {
    const { transit, fake, clock } = await setUp();
    fake.inject({ kind: "reply", status: 404, body: '{"errors":[]}', headers: {} }, { times: 2 });
    const answer = transit.readKey(signal());
    await clock.advance(200);
    expect((await answer).latestVersion).toBe(1);
  });

  test("a version that stays too new is reported after a while", async () => {
    const { transit, clock } = await setUp();
    const answer = codeOf(encrypt(transit, 7));
    await clock.advance(2000);
    expect(await answer).toBe("version_too_new");
  });
});

describe("each call", () => {
  const PLAINTEXT = { plaintext: Buffer.from(SEED).toString("base64") };
  const CIPHERTEXT = `vault:v1:${Buffer.alloc(60, 3).toString("base64")}`;
  const reply = (data: unknown): Answer => ({ status: 200, body: { request_id: "r", data } });
  const over = (answers: Answer[]) => {
    const { openbao, asked } = scriptedOpenBao({ [A]: answers });
    return { transit: createTransitClient(openbao, { mountPath: "transit", keyName: "key" }), asked };
  };
  const calls: readonly [string, (transit: TransitClient) => Promise<unknown>, unknown][] = [
    ["readKey", (transit) => transit.readKey(signal()), testMetadataReply],
    ["readDisableUpsert", (transit) => transit.readDisableUpsert(signal()), { disable_upsert: true }],
    ["encrypt", (transit) => encrypt(transit), { ciphertext: CIPHERTEXT }],
    ["decrypt", (transit) => decrypt(transit, CIPHERTEXT), PLAINTEXT],
  ];

  test.each(calls)("%s is made again when its answer was lost", async (_, call, data) => {
    const { transit, asked } = over(["connection_lost", reply(data)]);
    expect(await codeOf(call(transit))).toBe("ok");
    expect(asked).toHaveLength(2);
  });

  test.each(calls)("%s refuses an answer of another shape", async (_, call) => {
    for (const data of [{}, null, [], { disable_upsert: "yes", ciphertext: 1, plaintext: 1 }]) {
      expect(await codeOf(call(over([reply(data)]).transit))).toBe("reply_malformed");
    }
  });

  test("Encrypt takes a plaintext whose ciphertext has exactly 1024 bytes", async () => {
    const ciphertext = `vault:v1000:${Buffer.alloc(759).toString("base64")}`;
    expect(ciphertext).toHaveLength(1024);
    const { transit } = over([reply({ ciphertext })]);
    expect(await encrypt(transit, 1000, new Uint8Array(731))).toBe(ciphertext);
    expect(await codeOf(encrypt(transit, 1000, new Uint8Array(732)))).toBe("plaintext_too_large");
  });

  test("Decrypt takes a plaintext of exactly 1024 characters of base64", async () => {
    const longest = Buffer.alloc(768);
    const { transit } = over([reply({ plaintext: longest.toString("base64") })]);
    expect(await decrypt(transit, CIPHERTEXT)).toHaveLength(768);
    const longer = over([reply({ plaintext: Buffer.alloc(769).toString("base64") })]);
    expect(await codeOf(decrypt(longer.transit, CIPHERTEXT))).toBe("reply_malformed");
  });
});
