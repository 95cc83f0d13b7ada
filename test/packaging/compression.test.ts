/** dpkg-deb and rpm give back what deb.ts and rpm.ts packed; both in their quick form, on a small tree. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { architectures } from "../../packaging/architecture.ts";
import { writeDeb } from "../../packaging/deb.ts";
import { writeRpm } from "../../packaging/rpm.ts";
import { run, runBytes } from "../../packaging/run.ts";
import { describeWithTools } from "./tool-suite.ts";

const release = { version: "1.2.3", epochSeconds: 1_700_000_000, notes: "" };
const files = [{ path: "/usr/bin/machine-code", mode: 0o755 }] as const;
const calls = Buffer.alloc(400_000);
for (let at = 0; at < calls.length; at += 8) {
  calls.writeUInt8(0xe8, at);
  calls.writeInt32LE(0x1000 - (at + 5), at + 1);
}

const needs = { "dpkg-deb": "dpkg", rpmbuild: "rpm", rpm2archive: "rpm2cpio", xz: "xz-utils" };

describeWithTools("compression", { needs }, () => {
  let folder: string;
  const at = (name: string): string => join(folder, name);
  const made = (name: "amd64" | "arm64"): { readonly deb: string; readonly rpm: string } => ({
    deb: at(`${name}.deb`),
    rpm: at(`${name}.rpm`),
  });
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "kms-compression-"));
    for (const architecture of [architectures.amd64, architectures.arm64]) {
      const { name } = architecture;
      for (const kind of ["deb", "rpm"]) {
        mkdirSync(at(`${name}-${kind}/usr/bin`), { recursive: true });
        writeFileSync(at(`${name}-${kind}/usr/bin/machine-code`), calls, { mode: 0o755 });
      }
      writeDeb(at(`${name}-deb`), files, architecture, release, 0, made(name).deb);
      writeRpm(at(`${name}-rpm`), files, architecture, release, 0, at(`${name}-work`), made(name).rpm);
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(["amd64", "arm64"] as const)("%s: dpkg-deb and rpm give back what went in", (name) => {
    const { deb, rpm } = made(name);
    run("dpkg-deb", ["--extract", deb, at(`${name}-from-deb`)]);
    expect(readFileSync(at(`${name}-from-deb/usr/bin/machine-code`)).equals(calls)).toBe(true);
    expect(run("dpkg-deb", ["--field", deb, "Version"]).trim()).toBe("1.2.3");

    mkdirSync(at(`${name}-from-rpm`));
    const tar = runBytes("rpm2archive", ["--nocompression"], { input: readFileSync(rpm) });
    run("tar", ["--extract", `--directory=${at(`${name}-from-rpm`)}`], { input: tar });
    expect(readFileSync(at(`${name}-from-rpm/usr/bin/machine-code`)).equals(calls)).toBe(true);
  });

  test("rpm checks every digest, and finds a payload that they do not cover", () => {
    const bytes = readFileSync(made("amd64").rpm);
    const checked = run("rpm", ["--checksig", "--nosignature", "--verbose", made("amd64").rpm]);
    for (const each of ["Header SHA256", "Header SHA1", "Payload SHA256", "MD5"]) {
      expect(checked).toContain(`${each} digest: OK`);
    }
    const last = bytes.length - 1;
    bytes[last] = (bytes[last] ?? 0) ^ 1;
    writeFileSync(at("changed.rpm"), bytes);
    expect(() => run("rpm", ["--checksig", "--nosignature", at("changed.rpm")])).toThrow();
  });
});
