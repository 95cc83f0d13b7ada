import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createPublicKey } from "node:crypto";
import { chmodSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scriptedOpenBao } from "../../../test/fakes/scripted-openbao.ts";
import { type Leaf, makeTestCa } from "../../../test/fakes/tls/test-ca.ts";
import { zeroedDuring } from "../../../test/fakes/zeroed.ts";
import { systemClock } from "../../base/clock.ts";
import { ProviderError } from "../../base/error-class.ts";
import { certFileLoginMethod, certTokenLoginMethod } from "./cert-method.ts";

const ca = await makeTestCa();
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "cert-file-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** The public key that the login shows, of the certificate and of the private key, or the error's code. */
async function shown(certificateFile: string, privateKeyFile: string): Promise<readonly string[]> {
  const identities: string[] = [];
  const method = certFileLoginMethod({
    mountPath: "auth/cert",
    name: "",
    certificateFile,
    privateKeyFile,
    rules: { minRemainingTtlMs: 1000, leewayMs: 0 },
    serviceUid: process.getuid?.() ?? 0,
    clock: systemClock,
    connect: ({ chainPem, keyPem }) => {
      identities.push(spki(chainPem), spki(keyPem.expose()));
      return { ...scriptedOpenBao({}), close: () => {} };
    },
  });
  try {
    await method.prepare(new AbortController().signal);
    return identities;
  } catch (error) {
    return [error instanceof ProviderError ? String(error.code) : String(error)];
  }
}

const spki = (pem: string): string => createPublicKey(pem).export({ type: "spki", format: "pem" });
const both = ({ keyPem }: Leaf): readonly string[] => [spki(keyPem), spki(keyPem)];
const put = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text, { mode: 0o600 });
  return join(dir, name);
};

describe("a client certificate in files", () => {
  test("chain and key in two files", async () => {
    const leaf = await ca.client();
    expect(await shown(put("chain", leaf.chainPem), put("key", leaf.keyPem))).toEqual(both(leaf));
  });

  test.each(["certificate first", "key first"])("both in one file, %s", async (order) => {
    const leaf = await (await ca.intermediate()).client();
    const parts = [leaf.chainPem, leaf.keyPem];
    const file = put("both.pem", (order === "key first" ? parts.toReversed() : parts).join(""));
    expect(await shown(file, file)).toEqual(both(leaf));
  });

  test("kubelet's link is followed to the next certificate", async () => {
    const current = join(dir, "kubelet-client-current.pem");
    for (const name of ["kubelet-client-1.pem", "kubelet-client-2.pem"]) {
      const leaf = await ca.client({ keyType: "ec-p384" });
      symlinkSync(put(name, leaf.chainPem + leaf.keyPem), join(dir, "new"));
      renameSync(join(dir, "new"), current);
      expect(await shown(current, current)).toEqual(both(leaf));
    }
  });

  test("a file without a key, and one that is cut off, are refused", async () => {
    const leaf = await ca.client();
    const alone = put("alone.pem", leaf.chainPem);
    expect(await shown(alone, alone)).toEqual(["certificate_malformed"]);
    const cut = put("cut.pem", leaf.chainPem + leaf.keyPem.slice(0, 100));
    expect(await shown(cut, cut)).toEqual(["certificate_malformed"]);
    expect(await shown(put("chain", leaf.chainPem), put("cut", leaf.keyPem.slice(0, 100)))).toEqual([
      "certificate_malformed",
    ]);
  });

  test("a private key that every user can read is refused, a certificate is not", async () => {
    const leaf = await ca.client();
    const [chain, key] = [put("chain", leaf.chainPem), put("key", leaf.keyPem)];
    chmodSync(chain, 0o644);
    expect(await shown(chain, key)).toEqual(both(leaf));
    chmodSync(key, 0o644);
    expect(await shown(chain, key)).toEqual(["file_readable_by_others"]);
  });

  test("the private key does not stay in the buffer that it was read into", async () => {
    const leaf = await ca.client();
    const [chain, key] = [put("chain", leaf.chainPem), put("key", leaf.keyPem)];
    expect(await zeroedDuring(() => shown(chain, key))).toContain(leaf.keyPem);
  });

  test("a certificate and another certificate's key are refused", async () => {
    const [one, two] = [await ca.client(), await ca.client()];
    const file = put("both.pem", one.chainPem + two.keyPem);
    expect(await shown(file, file)).toEqual(["certificate_key_mismatch"]);
  });
});

describe("either login", () => {
  const never = new AbortController().signal;
  const HOUR = 3_600_000;

  /** Both methods on the same files, what they connected with, and how often they closed. */
  async function methods(name = "", rules = { minRemainingTtlMs: 1000, leewayMs: 0 }) {
    const notAfter = new Date(Math.floor((Date.now() + 5 * HOUR) / 1000) * 1000);
    const leaf = await ca.client({ notAfter });
    const certificateFile = put("chain", leaf.chainPem);
    const common = {
      mountPath: "auth/cert",
      name,
      certificateFile,
      rules,
      serviceUid: process.getuid?.() ?? 0,
      clock: systemClock,
    };
    let closed = 0;
    const { openbao } = scriptedOpenBao({});
    const chains: (readonly Uint8Array[])[] = [];
    const connect = () => ({ openbao, close: () => void (closed += 1) });
    return {
      certificateFile,
      openbao,
      chains,
      endMs: notAfter.getTime(),
      closed: () => closed,
      file: certFileLoginMethod({ ...common, privateKeyFile: put("key", leaf.keyPem), connect }),
      token: certTokenLoginMethod({
        ...common,
        connect: (chain) => {
          chains.push(chain);
          return { openbao };
        },
      }),
    };
  }

  test("may be made again, and takes the place of a renewal", async () => {
    const { file, token } = await methods();
    for (const method of [file, token]) {
      expect([method.repeatable, method.renewal, method.operation]).toEqual([true, "login", "cert_login"]);
    }
  });

  test.each([
    ["", "{}"],
    ["node", '{"name":"node"}'],
  ])("names the role %p by %s", async (name, body) => {
    const { file, token, openbao, endMs } = await methods(name);
    for (const method of [file, token]) {
      const request = await method.prepare(never);
      expect(request.body.expose()).toBe(body);
      expect(request.credentialExpiresAtMs).toBe(endMs);
      expect(request.loginClient).toBe(openbao);
    }
  });

  test("closes the connection that was made for it, and no other", async () => {
    const { file, token, closed } = await methods();
    (await file.prepare(never)).release?.();
    expect(closed()).toBe(1);
    expect((await token.prepare(never)).release).toBeUndefined();
  });

  test("shows the token's chain as DER, leaf first", async () => {
    const { token, chains, certificateFile } = await methods();
    await token.prepare(never);
    const pem = await Bun.file(certificateFile).text();
    expect(chains.map((chain) => chain.map((der) => Buffer.from(der).toString("base64")))).toEqual([
      [pem.replace(/-----[A-Z ]+-----|\s/g, "")],
    ]);
  });

  test("says when its certificate ends, without a connection", async () => {
    const { file, token, chains, endMs } = await methods();
    for (const { inspect } of [file, token]) {
      expect(
        await inspect?.({ openbao: scriptedOpenBao({}).openbao, token: undefined, signal: never }),
      ).toEqual({
        expiresAtMs: endMs,
      });
    }
    expect(chains).toEqual([]);
  });

  test("refuses a chain that is none, and one that ends too soon", async () => {
    const codes = async ({ file, token }: Awaited<ReturnType<typeof methods>>) =>
      Promise.all(
        [file, token].map((method) =>
          method.prepare(never).then(
            () => "ok",
            (error: unknown) => (error instanceof ProviderError ? error.code : String(error)),
          ),
        ),
      );
    const made = await methods();
    writeFileSync(made.certificateFile, "none");
    expect(await codes(made)).toEqual(["certificate_malformed", "certificate_malformed"]);
    expect(await codes(await methods("", { minRemainingTtlMs: 10 * HOUR, leewayMs: 0 }))).toEqual([
      "certificate_expires_soon",
      "certificate_expires_soon",
    ]);
  });

  test("of a token does not mind who may read the certificate", async () => {
    const { token, certificateFile } = await methods();
    chmodSync(certificateFile, 0o644);
    expect((await token.prepare(never)).body.expose()).toBe("{}");
  });
});
