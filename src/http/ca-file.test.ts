import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { makeTestCa } from "../../test/fakes/tls/test-ca.ts";
import { CaFileError, decodeCaBundle, openCaFile } from "./ca-file.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("a CA bundle", () => {
  test("keeps its certificates and drops what stands around them", async () => {
    const [a, b] = [(await makeTestCa()).certPem, (await makeTestCa()).certPem];
    const pem = decodeCaBundle(bytes(`# first\r\n${a.replaceAll("\n", "\r\n")}subject=b\n${b}trailing`));
    expect(pem).toBe(decodeCaBundle(bytes(a + b)));
    expect(pem?.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  });

  test("with one broken certificate is refused as a whole", async () => {
    const { certPem } = await makeTestCa();
    const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    expect(decodeCaBundle(bytes(certPem + broken))).toBeUndefined();
  });

  test("has at most 1 MiB", async () => {
    const { certPem } = await makeTestCa();
    const longest = `${certPem}\n`.padStart(1 << 20, "x");
    expect(decodeCaBundle(bytes(longest))).toBe(decodeCaBundle(bytes(certPem)));
    expect(decodeCaBundle(bytes(`x${longest}`))).toBeUndefined();
  });

  test("has at most 1,024 certificates", async () => {
    const { certPem } = await makeTestCa();
    expect(decodeCaBundle(bytes(certPem.repeat(1024)))).toBeDefined();
    expect(decodeCaBundle(bytes(certPem.repeat(1025)))).toBeUndefined();
  });

  test("without a certificate is refused", async () => {
    const { keyPem } = await (await makeTestCa()).server();
    expect(decodeCaBundle(bytes(keyPem))).toBeUndefined();
    expect(decodeCaBundle(new Uint8Array(0))).toBeUndefined();
  });

  test("of any bytes never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string({ maxLength: 200 }), (noise, text) => {
        expect(decodeCaBundle(noise)).toBeUndefined();
        expect(
          decodeCaBundle(bytes(`-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----`)),
        ).toBeUndefined();
      }),
    );
  });
});

describe("the file of a bundle", () => {
  let dir: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "ca-"));
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  async function opened() {
    const { certPem } = await makeTestCa();
    const path = join(dir, "ca.pem");
    writeFileSync(path, certPem);
    chmodSync(path, 0o644);
    const file = await openCaFile({ path, field: "openbao.caCertFile", serviceUid: process.getuid?.() ?? 0 });
    return { path, certPem, file };
  }
  const codeOf = (answer: Promise<unknown>): Promise<unknown> =>
    answer.catch((error: unknown) => (error instanceof CaFileError ? error.code : error));

  test("is read anew, and says whether its certificates have changed", async () => {
    const { path, certPem, file } = await opened();
    expect(file.pem()).toBe(decodeCaBundle(bytes(certPem)) ?? "");
    expect(await file.refresh()).toBe(false);
    writeFileSync(path, `# a comment\n${certPem}`);
    expect(await file.refresh()).toBe(false);
    const next = (await makeTestCa()).certPem;
    writeFileSync(`${path}.new`, next);
    renameSync(`${path}.new`, path);
    expect(await file.refresh()).toBe(true);
    expect(file.pem()).toBe(decodeCaBundle(bytes(next)) ?? "");
    expect(await file.refresh()).toBe(false);
  });

  test("that turns bad is refused, and the last good certificates stay", async () => {
    const { path, file } = await opened();
    const before = file.pem();
    writeFileSync(path, "none");
    expect(await codeOf(file.refresh())).toBe("ca_invalid");
    expect(file.pem()).toBe(before);
    expect(await codeOf(openCaFile({ path, field: "x", serviceUid: process.getuid?.() ?? 0 }))).toBe(
      "ca_invalid",
    );
  });
});
