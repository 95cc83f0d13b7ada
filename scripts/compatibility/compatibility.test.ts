/**
 * The table of versions, and the page that shows what was run against them.
 */
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as v from "valibot";
import {
  type CompatRow,
  compatibilityPage,
  measuredIn,
  parseVersions,
  record,
  reportSchema,
  SUITES,
} from "./report.ts";

const root = dirname(dirname(import.meta.dir));
const text = (...names: readonly string[]): string => readFileSync(join(root, ...names), "utf8");
const versionsText = text(".ci", "versions");
const sets = parseVersions(versionsText);
const report = v.parse(reportSchema, JSON.parse(text("docs", "compatibility.json")));
const row: CompatRow = {
  set: "newest",
  suite: "real",
  versions: { openbao: "2.7.2", etcd: "3.7.3" },
  passed: 7,
  failed: 0,
  skipped: 2,
  seconds: 31,
  startedAt: "2026-11-28T05:00:00.000Z",
  commit: "abcdef0",
};

describe(".ci/versions", () => {
  test("pins what PyPI serves by hash, and names the Debian release of each systemd", () => {
    for (const set of ["oldest", "newest"]) {
      expect(versionsText).toMatch(new RegExp(`^${set} +openbao +\\d+\\.\\d+\\.\\d+ +[0-9a-f]{64}$`, "m"));
      expect(versionsText).toMatch(new RegExp(`^${set} +systemd +\\d+ +[a-z]+$`, "m"));
    }
  });
  test("has an older and a newer version of each component that every suite needs", () => {
    for (const component of ["openbao", "kubernetes", "etcd", "systemd"] as const) {
      const [older = "", newer = ""] = [sets.oldest.versions[component], sets.newest.versions[component]];
      expect(Bun.semver.order(semver(older), semver(newer))).toBe(-1);
    }
  });
  const good = "newest openbao 1 x\nnewest kubernetes 1\nnewest etcd 1\nnewest systemd 1 trixie\n";
  const both = good + good.replaceAll("newest", "oldest");
  test("is read line by line; comments and empty lines do not count", () => {
    expect(parseVersions(`# words\n\n${both}newest containerd 2.3.7\n`).newest).toEqual({
      versions: { openbao: "1", kubernetes: "1", etcd: "1", systemd: "1", containerd: "2.3.7" },
      debian: "trixie",
    });
  });
  test.each([
    ["an unknown set", `${both}latest etcd 1\n`],
    ["an unknown component", `${both}newest docker 1\n`],
    ["no version", `${both}newest containerd\n`],
    ["a component twice", `${both}newest etcd 2\n`],
    ["a set without openbao", both.replace("oldest openbao 1 x\n", "")],
    ["a set without kubernetes", both.replace("oldest kubernetes 1\n", "")],
    ["a set without etcd", both.replace("newest etcd 1\n", "")],
    ["a set without systemd", both.replace("newest systemd 1 trixie\n", "")],
  ])("%s is refused", (_, bad) => {
    expect(() => parseVersions(bad)).toThrow(".ci/versions");
  });
});

describe("docs/compatibility.md", () => {
  test("is what .ci/versions and docs/compatibility.json make it", () => {
    const page = text("docs", "compatibility.md");
    expect(compatibilityPage(page, report, sets)).toBe(page);
  });
  test("records no failed suite, and no version that .ci/versions does not have", () => {
    expect(report.rows.filter(({ failed }) => failed > 0)).toEqual([]);
    for (const { set, versions } of report.rows) {
      expect(sets[set].versions).toMatchObject(versions);
    }
  });
  test("shows a row's counts, versions and day", () => {
    const page = compatibilityPage(text("docs", "compatibility.md"), { rows: [row] }, sets);
    expect(page).toContain(
      "| newest | real | OpenBao 2.7.2, etcd 3.7.3 | 7 | 0 | 2 | 31 | 2026-11-28 | abcdef0 |",
    );
  });
  test("shows what a suite measured", () => {
    const measured = measuredIn(
      "measured: writes: none refused in 200 s\nmeasured: nothing\n x measured: a: b\n",
    );
    expect(measured).toEqual({ writes: "none refused in 200 s" });
    const page = compatibilityPage(text("docs", "compatibility.md"), { rows: [{ ...row, measured }] }, sets);
    expect(page).toContain("| newest | real | writes | none refused in 200 s |");
  });
  test("without its markers is an error", () => {
    expect(() => compatibilityPage("# Compatibility", report, sets)).toThrow("has lost the lines");
  });
});

describe("record", () => {
  test("replaces the row of the same set and suite only", () => {
    const oldest: CompatRow = { ...row, set: "oldest", passed: 5 };
    const contract: CompatRow = { ...row, suite: "contract" };
    const again: CompatRow = { ...row, passed: 8 };
    const { rows } = [oldest, row, contract, again].reduce(record, { rows: [] });
    expect(rows).toEqual([contract, again, oldest]);
  });
  test("names every suite with a folder of its own", () => {
    expect(
      SUITES.filter((suite) => spawnSync("test", ["-d", join(root, "test", suite)]).status !== 0),
    ).toEqual([]);
  });
});

test.each([[["latest"]], [["newest", "unit"]], [[]]])("scripts/compat %p is a usage error", (args) => {
  const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dir, "compat.ts"), ...args], {
    encoding: "utf8",
  });
  expect(status).toBe(2);
  expect(stderr).toStartWith("usage: scripts/compat newest|oldest");
});

/** systemd counts in whole numbers. */
function semver(version: string): string {
  return version.includes(".") ? version : `${version}.0.0`;
}
