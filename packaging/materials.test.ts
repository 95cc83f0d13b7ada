import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import manifest from "../package.json";
import { licenseTexts, npmPackages } from "./materials.ts";

let folder: string;
const files = {
  "both/LICENSE-MIT": "MIT\n",
  "both/LICENSE-APACHE": "Apache\n",
  "both/README.md": "read\n",
  "sources/src/borrowed.js": "// Copyright Someone\n//\n// Redistributions must say so\nexport {};\n",
  "sources/src/again.js": "// Copyright Someone\n//\n// Redistributions must say so\nlet other;\n",
  "sources/src/own.js": "// An ordinary comment\n",
} as const;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kms-licences-"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["both", ["Apache", "MIT"]],
  ["sources", ["Copyright Someone\n\nRedistributions must say so"]],
  ["absent", []],
])("%s", (name, texts) => {
  expect(licenseTexts(join(folder, name))).toEqual(texts);
});

test("what the executable is made from, with what that needs, and no development tool", () => {
  const names = npmPackages(join(import.meta.dir, "..")).map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(Object.keys(manifest.dependencies)));
  const tools = Object.keys(manifest.devDependencies);
  expect(names.filter((name) => tools.includes(name) || name.startsWith("@typescript/"))).toEqual([]);
});
