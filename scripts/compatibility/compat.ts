/** @module `scripts/compat SET [SUITE...]`: runs all suites of a set of `.ci/versions`, or those named; --record writes their rows. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { parseArgs } from "node:util";
import * as v from "valibot";
import { root, shortCommit, writeJson } from "../run-script.ts";
import {
  COMPONENTS,
  type CompatReport,
  type CompatRow,
  type Component,
  type ComponentSet,
  compatibilityPage,
  measuredIn,
  parseVersions,
  record,
  reportSchema,
  SET_NAMES,
  type SetName,
  SUITES,
  type Suite,
} from "./report.ts";

const file = (...names: readonly string[]): string => join(root, ...names);
/** What a suite runs; the page states no version that a suite did not touch. */
const USES: Readonly<Record<Suite, readonly Component[]>> = {
  contract: ["openbao"],
  real: ["openbao", "kubernetes", "etcd"],
  executable: ["openbao"],
  cluster: ["openbao", "kubernetes", "etcd"],
  faults: ["openbao"],
  systemd: ["openbao", "kubernetes", "etcd", "systemd"],
  "kube-node": COMPONENTS,
};
const VERSION_COMMANDS = [
  ["openbao", "bao", "version"],
  ["kubernetes", "kube-apiserver", "--version"],
  ["etcd", "etcd", "--version"],
] as const;

type Environment = Readonly<Record<string, string | undefined>>;

function components(folder: string, set: SetName, versions: ComponentSet["versions"]): Environment {
  const fetched = spawnSync(file(".ci", "components"), [folder, set], { stdio: "inherit" });
  if (fetched.status !== 0) {
    throw new Error(`.ci/components ended with ${fetched.status}`);
  }
  // A binary that a variable names would take the place of the set's.
  const inherited = Object.entries(process.env).filter(([name]) => !name.endsWith("_BIN"));
  const env = {
    ...Object.fromEntries(inherited),
    PATH: `${folder}${delimiter}${process.env["PATH"] ?? ""}`,
    REQUIRE_REAL: "1",
  };
  for (const [component, command, argument] of VERSION_COMMANDS) {
    const { stdout } = spawnSync(command, [argument], { env, encoding: "utf8" });
    const stated = /\d+\.\d+\.\d+/.exec(stdout)?.[0];
    if (stated !== versions[component]) {
      throw new Error(`${command} on PATH is ${stated}, and ${set} has ${versions[component]}`);
    }
  }
  return env;
}

function runSuite(
  set: SetName,
  suite: Suite,
  { versions, debian }: ComponentSet,
  env: Environment,
): CompatRow {
  const startedAt = new Date();
  const { stdout } = spawnSync(process.execPath, [file("scripts", "test.ts"), suite], {
    cwd: root,
    env: { ...env, MACHINE_SUITE: debian },
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const totals = /^(\d+) passed, (\d+) failed, (\d+) skipped$/m.exec(stdout);
  if (totals === null) {
    throw new Error(`suite ${suite} printed no totals:\n${stdout.slice(-2000)}`);
  }
  const [, passed = "", failed = "", skipped = ""] = totals;
  if (failed !== "0") {
    console.log(stdout.slice(stdout.indexOf("\nfailed: ")));
  }
  return {
    set,
    suite,
    versions: Object.fromEntries(USES[suite].map((component) => [component, versions[component] ?? ""])),
    passed: Number(passed),
    failed: Number(failed),
    skipped: Number(skipped),
    seconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
    startedAt: startedAt.toISOString(),
    commit: shortCommit(),
    measured: measuredIn(stdout),
  };
}

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { record: { type: "boolean", default: false } },
  });
  const [word, ...named] = positionals;
  const set = SET_NAMES.find((each) => each === word);
  if (set === undefined || named.some((name) => !SUITES.some((suite) => suite === name))) {
    console.error(`usage: scripts/compat ${SET_NAMES.join("|")} [--record] [${SUITES.join("|")}]...`);
    return 2;
  }
  const sets = parseVersions(readFileSync(file(".ci", "versions"), "utf8"));
  const chosen = SUITES.filter((suite) => named.length === 0 || named.includes(suite)).filter((suite) =>
    USES[suite].every((component) => sets[set].versions[component] !== undefined),
  );
  const folder = mkdtempSync(join(tmpdir(), "components-"));
  try {
    const env = components(folder, set, sets[set].versions);
    const failed: Suite[] = [];
    for (const suite of chosen) {
      const row = runSuite(set, suite, sets[set], env);
      console.log(
        `${set} ${suite}: ${row.passed} passed, ${row.failed} failed, ${row.skipped} skipped, ${row.seconds} s`,
      );
      if (values.record) {
        write(record(v.parse(reportSchema, JSON.parse(readFileSync(json, "utf8"))), row), sets);
      }
      if (row.failed > 0) {
        failed.push(suite);
      }
    }
    return failed.length === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const json = file("docs", "compatibility.json");

function write(report: CompatReport, sets: Readonly<Record<SetName, ComponentSet>>): void {
  const page = file("docs", "compatibility.md");
  writeJson(json, report);
  writeFileSync(page, compatibilityPage(readFileSync(page, "utf8"), report, sets));
}

process.exitCode = main();
