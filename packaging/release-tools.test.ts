/** scripts/release looks before it works, and leaves nothing behind. Runs the script with a PATH of the test's own. */
import { afterAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missingTools, nativeTools, releaseTools } from "./release-tools.ts";

// Each test starts the script.
setDefaultTimeout(60_000);

const home = mkdtempSync(join(tmpdir(), "release-tools-"));
const bin = join(home, "bin");
const place = join(home, "place");
const out = join(place, "release");
afterAll(() => rmSync(home, { recursive: true, force: true }));
beforeEach(() => {
  rmSync(bin, { recursive: true, force: true });
  rmSync(place, { recursive: true, force: true });
  mkdirSync(bin);
  mkdirSync(place);
});

function tool(name: string, script = "exit 7"): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

function release(...args: readonly string[]) {
  const { exitCode, stderr } = Bun.spawnSync(
    [process.execPath, join(import.meta.dir, "release.ts"), "--out", out, ...args],
    { env: { PATH: bin, TMPDIR: place } },
  );
  return { exitCode, stderr: stderr.toString(), left: readdirSync(place) };
}

describe("the programs", () => {
  test("all that are missing are in one sentence, each with its package", () => {
    expect(missingTools({ a: "one", b: "two", c: "three" }, (name) => (name === "b" ? "/b" : null))).toMatch(
      /^not on PATH: a \(Debian package one\), c \(Debian package three\);/,
    );
    expect(missingTools({ a: "one" }, () => "/a")).toBeUndefined();
    expect(missingTools({}, () => null)).toBeUndefined();
  });

  test("a missing one ends it before it works", () => {
    const { exitCode, stderr, left } = release();
    expect(exitCode).toBe(1);
    for (const [name, from] of Object.entries(releaseTools)) {
      expect(stderr).toContain(`${name} (Debian package ${from})`);
    }
    expect(stderr).not.toContain("cargo");
    expect(left).toEqual([]);
  });

  test("cargo only with the native parts", () => {
    const { stderr } = release("--native", place);
    expect(stderr).toContain(`cargo (Debian package ${nativeTools.cargo})`);
  });
});

describe("with all programs", () => {
  beforeEach(() => {
    for (const name of [...Object.keys(releaseTools), ...Object.keys(nativeTools)]) {
      tool(name);
    }
  });

  test.each([
    ["a key that is not there", ["--key", "/nowhere/key.pem"], "/nowhere/key.pem"],
    ["native parts that are not there", ["--native", "/nowhere"], "--native: /nowhere does not exist"],
  ])("%s ends it before it works", (_, args, text) => {
    const { exitCode, stderr, left } = release(...args);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(text);
    expect(left).toEqual([]);
  });

  test("a folder with files in it is left as it is", () => {
    mkdirSync(out);
    writeFileSync(join(out, "mine"), "");
    const { exitCode, stderr, left } = release();
    expect(exitCode).toBe(1);
    expect(stderr).toContain("is not empty");
    expect(left).toEqual(["release"]);
    expect(readdirSync(out)).toEqual(["mine"]);
  });

  test("a program that fails leaves nothing behind, so that the next run can begin", () => {
    const { exitCode, stderr, left } = release();
    expect(exitCode).toBe(1);
    expect(stderr).toContain("git rev-parse HEAD failed");
    expect(left).toEqual([]);
  });
});
