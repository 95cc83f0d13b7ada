import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualClock } from "../../../test/fakes/manual-clock.ts";
import { identityClaims, makeJwtIssuer } from "../../../test/fakes/openbao/jwt-issuer.ts";
import { scriptedOpenBao } from "../../../test/fakes/scripted-openbao.ts";
import { zeroedDuring } from "../../../test/fakes/zeroed.ts";
import { ProviderError } from "../../base/error-class.ts";
import { Secret } from "../../base/secret.ts";
import type { JwtExpectations } from "./jwt-claims.ts";
import { type JwtSource, jwtFileSource, jwtLoginMethod } from "./jwt-method.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "jwt-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const clock = manualClock();
const issuer = makeJwtIssuer();
const goodJwt = issuer.sign(identityClaims({ audience: "openbao", subject: "node" }, clock.wallMs()));

function prepare(text: string, mode = 0o640, subject = "") {
  const path = join(dir, "identity.jwt");
  rmSync(path, { force: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
  return login(path, subject);
}

function login(path: string, subject = "") {
  return method(jwtFileSource(path, process.getuid?.() ?? 0), subject).prepare(never);
}

const never = new AbortController().signal;
const method = (source: JwtSource, subject = "", expected: Partial<JwtExpectations> = {}) =>
  jwtLoginMethod({
    mountPath: "auth/jwt",
    role: "kms-provider",
    source,
    expected: {
      minRemainingTtlMs: 120_000,
      leewayMs: 30_000,
      issuer: "",
      audience: [],
      subject,
      ...expected,
    },
    clock,
  });

const failure = async (answer: Promise<unknown>): Promise<ProviderError> => {
  const error: unknown = await answer.catch((each: unknown) => each);
  if (!(error instanceof ProviderError)) {
    throw new TypeError("not a ProviderError");
  }
  expect(Bun.inspect(error)).not.toContain(goodJwt.slice(0, 40));
  return error;
};

describe("login with a JWT from a file", () => {
  test("the request has role and JWT, hidden until it is sent", async () => {
    const request = await prepare(`${goodJwt}\n`);
    expect(JSON.parse(request.body.expose())).toEqual({ role: "kms-provider", jwt: goodJwt });
    expect(Bun.inspect(request)).not.toContain(goodJwt);
    expect(request.credentialExpiresAtMs).toBe(clock.wallMs() + 3_600_000);
  });

  test.each([
    ["not a JWT", "hello", "jwt_malformed", "auth_failed"],
    ["an expired one", issuer.sign({ exp: 1000 }), "jwt_expired", "auth_expired"],
  ])("%s is refused before OpenBao is asked", async (_, text, code, errorClass) => {
    expect(await failure(prepare(text))).toMatchObject({ code, errorClass });
  });

  test.each([
    ["jwt_wrong_issuer", { issuer: "https://other.example" }, "auth.jwt.expectedIssuer"],
    ["jwt_wrong_audience", { audience: ["other"] }, "auth.jwt.expectedAudience"],
  ])("with %s, the setting is named, because it may be what is wrong", async (code, expected, setting) => {
    const path = join(dir, "identity.jwt");
    writeFileSync(path, goodJwt, { mode: 0o640 });
    const source = jwtFileSource(path, process.getuid?.() ?? 0);
    const error = await failure(method(source, "", expected).prepare(never));
    expect([error.code, error.advice?.includes(setting)]).toEqual([code, true]);
  });

  test("no setting is named for an expired JWT", async () => {
    expect((await failure(prepare(issuer.sign({ exp: 1000 })))).advice).not.toContain("auth.jwt.expected");
  });

  test("of a wrong subject the found and the expected one are shown, the first up to a length", async () => {
    const wrong = await failure(prepare(goodJwt, 0o640, "other"));
    expect(wrong.code).toBe("jwt_wrong_subject");
    expect(wrong.message).toContain('"node"');
    expect(wrong.message).toContain('"other"');
    expect(wrong.advice).toContain("auth.jwt.expectedSubject");
    const long = issuer.sign(
      identityClaims({ audience: "openbao", subject: "s".repeat(300) }, clock.wallMs()),
    );
    expect((await failure(prepare(long, 0o640, "other"))).message.match(/s{100,}/)?.[0]).toHaveLength(256);
  });

  test("a file that is missing, open to all or a link is refused", async () => {
    expect(await failure(login(join(dir, "missing")))).toMatchObject({
      code: "file_missing",
      errorClass: "auth_failed",
    });
    expect(await failure(prepare(goodJwt, 0o644))).toMatchObject({ code: "file_readable_by_others" });
    symlinkSync("/proc/self/cmdline", join(dir, "link"));
    expect(await failure(login(join(dir, "link")))).toMatchObject({ code: "file_symlink" });
  });
});

describe("the message names what is wrong with a JWT", () => {
  test.each([
    ["the claim and what it should be", issuer.sign({ exp: "soon" }), "jwt_malformed", "claim exp"],
    ["that it is none", "hello", "jwt_malformed", "compact form"],
    [
      "seconds that are milliseconds",
      issuer.sign({ nbf: clock.wallMs() }),
      "jwt_not_yet_valid",
      "milliseconds",
    ],
    ["the same of iat", issuer.sign({ iat: clock.wallMs() }), "jwt_issued_in_future", "milliseconds"],
  ])("%s", async (_, text, code, words) => {
    const error = await failure(prepare(text));
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
  });

  test("a time that is only late is not called one in milliseconds", async () => {
    const error = await failure(prepare(issuer.sign({ nbf: clock.wallMs() / 1000 + 31 })));
    expect(error.code).toBe("jwt_not_yet_valid");
    expect(error.message).not.toContain("milliseconds");
    const soon = await failure(prepare(issuer.sign({ exp: clock.wallMs() / 1000 + 60 })));
    expect(soon.code).toBe("jwt_expires_soon");
    expect(soon.message).not.toContain("milliseconds");
  });
});

describe("a JWT login", () => {
  const source = (text: string, isStored = true): JwtSource => ({
    what: "the JWT",
    fix: "fix it",
    isStored,
    get: async () => new Secret(text),
  });
  const inspection = { openbao: scriptedOpenBao({}).openbao, token: undefined, signal: never };

  test("may be made again", () => {
    expect(method(source(goodJwt)).repeatable).toBe(true);
  });

  test("looks at a JWT that is stored: its end, or that it has none", async () => {
    const at = clock.wallMs() + 3_600_000;
    expect(await method(source(goodJwt)).inspect?.(inspection)).toEqual({ expiresAtMs: at });
    expect(await method(source(issuer.sign({}))).inspect?.(inspection)).toEqual({});
    expect(method(jwtFileSource("/none", 0)).inspect).toBeFunction();
    expect(method(source(goodJwt, false)).inspect).toBeUndefined();
  });

  test("with a JWT without an end does not know when the credential ends", async () => {
    const request = await method(source(issuer.sign({}))).prepare(never);
    expect("credentialExpiresAtMs" in request).toBe(false);
  });

  test("from a file leaves no copy of it in the buffer that it was read into", async () => {
    expect(await zeroedDuring(() => prepare(`${goodJwt}\n`))).toContain(`${goodJwt}\n`);
  });
});
