/** What setup.mjs does when Bun's binary is not in place yet. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "setup-"));
  for (const folder of ["scripts", "bin", "node_modules/bun/bin", "node_modules/@oven/bun-linux-x64/bin"]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  cpSync(join(import.meta.dir, "setup.mjs"), join(root, "scripts/setup.mjs"));
  writeFileSync(join(root, "package-lock.json"), "{}");
  writeFileSync(join(root, "node_modules/bun/bin/bun.exe"), "placeholder");
  writeFileSync(join(root, "node_modules/bun/install.js"), `require("node:fs").writeFileSync("fetched", "")`);
  script("bin/npm", "exit 0");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function script(path: string, body: string): void {
  writeFileSync(join(root, path), `#!/bin/sh\n${body}\n${"#".repeat(1_000_001)}\n`);
  chmodSync(join(root, path), 0o755);
}

const setup = () =>
  Bun.spawnSync([Bun.which("node") ?? "node", join(root, "scripts/setup.mjs")], {
    cwd: root,
    env: { PATH: `${join(root, "bin")}:/usr/bin:/bin` },
  });
const placed = (): number => statSync(join(root, "node_modules/bun/bin/bun.exe")).size;
const stamped = (): boolean => existsSync(join(root, "node_modules/.ready"));

test("the binary of the locked package is put in place", () => {
  script("node_modules/@oven/bun-linux-x64/bin/bun", "exit 0");
  expect(setup().exitCode).toBe(0);
  expect(placed()).toBeGreaterThan(1_000_000);
  expect(stamped()).toBe(true);
});

test.each([
  ["missing", () => {}],
  ["of another platform", () => script("node_modules/@oven/bun-linux-x64/bin/bun", "exit 126")],
])("with the package %s, setup ends and fetches nothing", (_, prepare) => {
  prepare();
  const { exitCode, stderr } = setup();
  expect(exitCode).toBe(1);
  expect(stderr.toString()).toContain("@oven/bun-*");
  expect(placed()).toBe("placeholder".length);
  expect(existsSync(join(root, "fetched"))).toBe(false);
  expect(stamped()).toBe(false);
});
