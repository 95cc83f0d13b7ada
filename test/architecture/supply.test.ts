/**
 * What the project takes from others: licences, install scripts and where it comes from, as the lock file says; and that CI
 * runs no action by a name that can be moved.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";

const root = join(import.meta.dir, "..", "..");
const lockFile = v.object({
  packages: v.record(
    v.string(),
    v.object({
      version: v.optional(v.string()),
      license: v.optional(v.string()),
      integrity: v.optional(v.string()),
      resolved: v.optional(v.string()),
      hasInstallScript: v.optional(v.boolean(), false),
    }),
  ),
});
const lock = v.parse(lockFile, JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")));
const packages = Object.entries(lock.packages)
  .filter(([path]) => path !== "")
  .map(([path, { license, integrity, resolved, hasInstallScript }]) => ({
    name: path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length),
    license,
    integrity,
    resolved,
    hasInstallScript,
  }));

/** Terms that go with Apache-2.0 in one executable, for the tools as well. */
const LICENCES = new Set(["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"]);
/** None of these scripts is run (setup.mjs installs with --ignore-scripts); Bun's is the one that setup runs by name. */
const INSTALL_SCRIPTS = ["@bufbuild/buf", "bun", "pkcs11js", "protobufjs"];

describe("package-lock.json", () => {
  test("names packages", () => {
    expect(packages.length).toBeGreaterThan(50);
  });
  test("only known licences", () => {
    const terms = (license: string): readonly string[] => license.replace(/[()]/g, "").split(/ (?:AND|OR) /);
    const others = packages.filter(
      ({ license = "none" }) => !terms(license).every((each) => LICENCES.has(each)),
    );
    expect(others.map(({ name, license }) => `${name}: ${license ?? "none"}`)).toEqual([]);
  });
  test("every package is pinned by its content", () => {
    const loose = packages.filter(({ integrity }) => integrity?.startsWith("sha512-") !== true);
    expect(loose.map(({ name }) => name)).toEqual([]);
  });
  test("nothing comes from anywhere but the registry", () => {
    const elsewhere = packages.filter(
      ({ resolved }) => resolved?.startsWith("https://registry.npmjs.org/") === false,
    );
    expect(elsewhere.map(({ name, resolved }) => `${name}: ${resolved}`)).toEqual([]);
  });
  test("no install scripts but those that were looked at", () => {
    const scripts = packages.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name);
    expect([...new Set(scripts)].sort()).toEqual(INSTALL_SCRIPTS);
    expect(readFileSync(join(root, "scripts", "setup.mjs"), "utf8")).toContain("--ignore-scripts");
  });
  test("what the executable contains is few and named in docs/dependencies.md", () => {
    const manifest = v.parse(
      v.object({
        dependencies: v.record(v.string(), v.string()),
        devDependencies: v.record(v.string(), v.string()),
      }),
      JSON.parse(readFileSync(join(root, "package.json"), "utf8")),
    );
    const page = readFileSync(join(root, "docs", "dependencies.md"), "utf8");
    const all = { ...manifest.dependencies, ...manifest.devDependencies };
    expect(Object.keys(all).filter((name) => !page.includes(name))).toEqual([]);
    expect(Object.values(all).filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
    expect(Object.keys(manifest.dependencies).length).toBeLessThan(15);
  });
});

describe("workflows", () => {
  const directory = join(root, ".github", "workflows");
  const files = readdirSync(directory).filter((name) => /\.ya?ml$/.test(name));
  test.each(files)("%s: actions are pinned by hash, credentials are not kept", (file) => {
    const text = readFileSync(join(directory, file), "utf8");
    const uses = [...text.matchAll(/^\s*(?:- )?uses:\s*(\S+)/gm)].map((match) => match[1] ?? "");
    const loose = uses.filter((each) => !each.startsWith("./") && !/@[0-9a-f]{40}$/.test(each));
    expect(loose).toEqual([]);
    expect(text).toMatch(/^permissions:/m);
    const checkouts = uses.filter((each) => each.startsWith("actions/checkout@")).length;
    expect(text.split("persist-credentials: false").length - 1).toBe(checkouts);
  });
});
