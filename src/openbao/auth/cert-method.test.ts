import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createPublicKey } from "node:crypto";
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scriptedOpenBao } from "../../../test/fakes/scripted-openbao.ts";
import { type Leaf, makeTestCa } from "../../../test/fakes/tls/test-ca.ts";
import { systemClock } from "../../base/clock.ts";
import { ProviderError } from "../../base/error-class.ts";
import { certFileLoginMethod } from "./cert-method.ts";

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

  test("a certificate and another certificate's key are refused", async () => {
    const [one, two] = [await ca.client(), await ca.client()];
    const file = put("both.pem", one.chainPem + two.keyPem);
    expect(await shown(file, file)).toEqual(["certificate_key_mismatch"]);
  });
});
