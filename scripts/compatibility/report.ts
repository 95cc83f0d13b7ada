/** @module The sets of `.ci/versions`, docs/compatibility.json (which suites ran against them, and how they ended), and its page. */
import * as v from "valibot";
import { table, withRecordedPart } from "../reference/markdown.ts";

export const SET_NAMES = ["newest", "oldest"] as const;
export type SetName = (typeof SET_NAMES)[number];

export const COMPONENTS = ["openbao", "kubernetes", "etcd", "containerd", "systemd"] as const;
export type Component = (typeof COMPONENTS)[number];

export interface ComponentSet {
  readonly versions: Readonly<Partial<Record<Component, string>>>;
  /** The release whose systemd that is. */
  readonly debian: string;
}

/** @throws for a line with a word it does not know, a component that stands twice, or a set that lacks what every suite needs */
export function parseVersions(text: string): Readonly<Record<SetName, ComponentSet>> {
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  const rows = lines.map((line) => {
    const [set, component, version, detail = ""] = line.trim().split(/\s+/);
    const known = { set: oneOf(SET_NAMES, set), component: oneOf(COMPONENTS, component) };
    if (known.set === undefined || known.component === undefined || version === undefined) {
      throw new Error(`.ci/versions: not a set, a component and a version: ${line}`);
    }
    return { set: known.set, component: known.component, version, detail };
  });
  const read = (name: SetName): ComponentSet => {
    const own = rows.filter(({ set }) => set === name);
    const versions = Object.fromEntries(own.map(({ component, version }) => [component, version]));
    if (Object.keys(versions).length !== own.length) {
      throw new Error(`.ci/versions: a component stands twice in ${name}`);
    }
    for (const needed of ["openbao", "kubernetes", "etcd", "systemd"] as const) {
      if (versions[needed] === undefined) {
        throw new Error(`.ci/versions: ${name} has no ${needed}`);
      }
    }
    return { versions, debian: own.find(({ component }) => component === "systemd")?.detail ?? "" };
  };
  return { newest: read("newest"), oldest: read("oldest") };
}

function oneOf<T extends string>(all: readonly T[], word: string | undefined): T | undefined {
  return all.find((each) => each === word);
}

/** Suites of `npm test`; the unit of recording. */
export const SUITES = [
  "contract",
  "real",
  "executable",
  "cluster",
  "faults",
  "systemd",
  "kube-node",
] as const;
export type Suite = (typeof SUITES)[number];

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const rowSchema = v.strictObject({
  set: v.picklist(SET_NAMES),
  suite: v.picklist(SUITES),
  versions: v.record(v.picklist(COMPONENTS), v.string()),
  passed: count,
  failed: count,
  skipped: count,
  seconds: count,
  startedAt: v.pipe(v.string(), v.isoTimestamp()),
  commit: v.string(),
  /** What a suite measured of a component, by what it is. */
  measured: v.optional(v.record(v.string(), v.string())),
});
export const reportSchema = v.strictObject({ rows: v.array(rowSchema) });
export type CompatRow = v.InferOutput<typeof rowSchema>;
export type CompatReport = v.InferOutput<typeof reportSchema>;

const BEGIN = "<!-- made by `scripts/compat` -->";
const TITLES: Partial<Record<Component, string>> = { openbao: "OpenBao", kubernetes: "Kubernetes" };

const titleOf = (component: Component): string => TITLES[component] ?? component;

/** What a suite prints for the report: a line of its own, `measured: WHAT: VALUE`. */
export function measuredIn(output: string): NonNullable<CompatRow["measured"]> {
  const lines = output.matchAll(/^measured: ([^:\n]+): ([^\n]+)$/gm);
  return Object.fromEntries([...lines].map(([, what = "", value = ""]) => [what, value]));
}

/** A row of the same set and suite is replaced; the order is that of the two lists above. */
export function record(report: CompatReport, row: CompatRow): CompatReport {
  const rows = [...report.rows.filter(({ set, suite }) => set !== row.set || suite !== row.suite), row];
  const place = ({ set, suite }: CompatRow): number =>
    SET_NAMES.indexOf(set) * SUITES.length + SUITES.indexOf(suite);
  return { rows: rows.sort((a, b) => place(a) - place(b)) };
}

/** The page as it should be, given the text around its tables. */
export function compatibilityPage(
  page: string,
  report: CompatReport,
  sets: Readonly<Record<SetName, ComponentSet>>,
): string {
  const supported = table(
    ["component", "oldest", "newest"],
    COMPONENTS.map((component) => [
      titleOf(component),
      sets.oldest.versions[component] ?? "",
      sets.newest.versions[component] ?? "",
    ]),
  );
  const runs = table(
    ["set", "suite", "versions", "passed", "failed", "skipped", "seconds", "when", "commit"],
    report.rows.map(runCells),
  );
  const measured = table(
    ["set", "suite", "measured", "value"],
    report.rows.flatMap((row) =>
      Object.entries(row.measured ?? {}).map(([what, value]) => [row.set, row.suite, what, value]),
    ),
  );
  return withRecordedPart(page, "docs/compatibility.md", BEGIN, [supported, runs, measured].join("\n\n"));
}

function runCells(row: CompatRow): readonly string[] {
  const versions = COMPONENTS.flatMap((component) => {
    const version = row.versions[component];
    return version === undefined ? [] : [`${titleOf(component)} ${version}`];
  });
  const { set, suite, passed, failed, skipped, seconds, startedAt, commit } = row;
  const when = startedAt.slice(0, 10);
  return [set, suite, versions.join(", "), ...[passed, failed, skipped, seconds].map(String), when, commit];
}
