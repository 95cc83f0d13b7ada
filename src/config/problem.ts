/** @module One thing that is wrong with a configuration, in three parts: where, what, and the fix. */
import * as v from "valibot";
import { nearestName } from "../base/nearest-name.ts";
import { entriesOf, type FieldRow, fieldTable } from "./field-table.ts";
import { configSchema } from "./schema.ts";

export interface ConfigProblem {
  /** `server.socketPath`; empty for the file as a whole. */
  readonly path: string;
  /** Completes "<path> …": `is missing`. */
  readonly problem: string;
  readonly fix: string;
}

const MAX_SHOWN = 40;
const MAX_UNKNOWN_NAME = 64;

/** The problems that the schema finds, first those of structure, at most one for each path. */
export function problemsOf(
  input: unknown,
  issues: readonly v.BaseIssue<unknown>[],
): readonly ConfigProblem[] {
  const rows = new Map(fieldTable(configSchema).map((row) => [row.path, row]));
  const structure = structureProblems(configSchema, input, "");
  const seen = new Set(structure.map(({ path }) => path));
  const found: ConfigProblem[] = [...structure];
  for (const issue of issues) {
    const path = v.getDotPath(issue) ?? "";
    const isUnknownField = issue.type === "strict_object" && issue.expected === "never";
    if (!seen.has(path) && !isUnknownField) {
      seen.add(path);
      found.push(problemOf(path, issue, rows));
    }
  }
  return found;
}

function problemOf(
  path: string,
  issue: v.BaseIssue<unknown>,
  rows: ReadonlyMap<string, FieldRow>,
): ConfigProblem {
  // An entry of a list has no row of its own.
  const row = rows.get(path) ?? rows.get(path.replace(/\.\d+$/, ""));
  const fix =
    row?.kind === "section" ? sectionFix(path, rows, issue.input === undefined) : valueFix(path, row);
  if (issue.kind === "schema") {
    return { path, problem: schemaProblem(issue, row), fix };
  }
  // A check carries one text, its message: what is wrong, and after "; " the fix where it is not the field's usual one.
  const [problem = "", ownFix] = issue.message.split("; ", 2);
  return { path, problem: `${shownValue(issue.input, row)}${problem}`, fix: ownFix ?? fix };
}

function valueFix(path: string, row: FieldRow | undefined): string {
  const example =
    row?.example === undefined || row.example === row.expected ? "" : `, for example ${row.example}`;
  return `set ${path} to ${row?.expected ?? "a value of the right kind"}${example}`;
}

function sectionFix(path: string, rows: ReadonlyMap<string, FieldRow>, isMissing: boolean): string {
  const below = [...rows.values()]
    .filter((row) => row.path.startsWith(`${path}.`))
    .map(({ path: each, required, kind }) => ({ name: each.slice(path.length + 1), required, kind }))
    .filter(({ name }) => !name.includes("."));
  const needed = below.filter(({ required }) => required).map(({ name }) => name);
  if (needed.length > 0) {
    return `add the section ${path} with at least ${needed.join(", ")}`;
  }
  const sections = below.filter(({ kind }) => kind === "section").map(({ name }) => name);
  return isMissing
    ? `add the section ${path} with ${sections.join(" or ")} in it`
    : `write ${path} as a section, or leave it out`;
}

function schemaProblem(issue: v.BaseIssue<unknown>, row: FieldRow | undefined): string {
  if (issue.input === undefined) {
    return "is missing";
  }
  if (issue.input === null) {
    return "has no value";
  }
  if (issue.type === "picklist" || issue.type === "literal") {
    return `${shownValue(issue.input, row)}is not a known choice`;
  }
  return `is ${KINDS[typeof issue.input] ?? (Array.isArray(issue.input) ? "a list" : "a section")}`;
}

const KINDS: Partial<Record<string, string>> = {
  string: "text",
  number: "a number",
  bigint: "a number",
  boolean: "true or false",
};

/** `(5x) `, or nothing where the value must not be shown. */
function shownValue(value: unknown, row: FieldRow | undefined): string {
  if (row?.shown !== true || (typeof value !== "string" && typeof value !== "number")) {
    return "";
  }
  const text = JSON.stringify(value);
  return text.length <= MAX_SHOWN ? `(${text}) ` : "";
}

/** Lists in the place of sections, and unknown names at every level, each with the nearest known name of its level, or of the whole file. */
function structureProblems(
  schema: v.GenericSchema,
  input: unknown,
  prefix: string,
): readonly ConfigProblem[] {
  const entries = entriesOf(schema);
  if (entries === undefined || typeof input !== "object" || input === null) {
    return [];
  }
  if (Array.isArray(input)) {
    // To valibot a list is an object without names.
    return [
      {
        path: prefix,
        problem: "is a list",
        fix: `write the fields of ${prefix} without the leading dashes`,
      },
    ];
  }
  return Object.entries(input).flatMap(([name, value]): readonly ConfigProblem[] => {
    const known = entries.get(name);
    const path = prefix === "" ? printableName(name) : `${prefix}.${printableName(name)}`;
    return known === undefined
      ? [{ path, problem: "is not a known field", fix: unknownFix(name, prefix, [...entries.keys()]) }]
      : structureProblems(known, value, path);
  });
}

function unknownFix(name: string, prefix: string, siblings: readonly string[]): string {
  const near = nearestName(name, siblings);
  if (near !== undefined) {
    return `did you mean ${prefix === "" ? near : `${prefix}.${near}`}?`;
  }
  const elsewhere = fieldTable(configSchema).find(({ path }) => path.split(".").at(-1) === name);
  return elsewhere === undefined
    ? `remove it; ${prefix === "" ? "the file" : prefix} knows ${siblings.join(", ")}`
    : `did you mean ${elsewhere.path}?`;
}

/** A name is untrusted input: its length is bounded, and no character can move a terminal's cursor. */
function printableName(name: string): string {
  const visible = name.replace(/[^\x20-\x7e]/g, "?");
  return visible.length <= MAX_UNKNOWN_NAME ? visible : `${visible.slice(0, MAX_UNKNOWN_NAME)}…`;
}
