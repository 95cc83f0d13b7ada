/** @module What migrate found, did and left, as text and as JSON. */
import { visible } from "../../base/visible-text.ts";
import { jsonText, type Output } from "../../cli/output.ts";
import { grouped } from "../../etcd/group-label.ts";
import type { GoalWords, Verdict } from "./goal.ts";
import type { RewriteCounts } from "./rewrite-objects.ts";
import type { RequestedMigration } from "./storage-version-migration.ts";

export interface MigrateOutcome {
  readonly found: Verdict;
  readonly left: Verdict;
  /** Of what was rewritten from here. Like `requested` absent in a dry run. */
  readonly counts?: RewriteCounts;
  /** Of what the cluster was asked to rewrite. */
  readonly requested?: readonly RequestedMigration[];
}

export function reportMigration(
  format: "text" | "json",
  output: Output,
  words: GoalWords,
  outcome: MigrateOutcome,
): void {
  const { found, left, counts, requested } = outcome;
  const isApplied = counts !== undefined || requested !== undefined;
  if (format === "json") {
    output.result(jsonText({ applied: isApplied, before: found, after: left, counts, requested }));
    return;
  }
  const lines = isApplied ? appliedLines(output, words, outcome) : plannedLines(output, words, found);
  output.result(`${lines.join("\n")}\n`);
}

/** Whether nothing remains, and what was seen proves it. */
export function isProven({ remaining, problems }: Verdict): boolean {
  return remaining.length === 0 && problems.length === 0;
}

function plannedLines(output: Output, words: GoalWords, found: Verdict): readonly string[] {
  return [
    `${grouped(sum(found))} objects would be rewritten to ${words.target}:`,
    ...rows(found),
    ...marked(output, [...found.problems, ...found.warnings]),
    found.remaining.length === 0
      ? "nothing was changed, and there is nothing to rewrite"
      : "nothing was changed; --apply rewrites them",
  ];
}

function appliedLines(
  output: Output,
  words: GoalWords,
  { found, left, counts, requested = [] }: MigrateOutcome,
): readonly string[] {
  const isUnderWay = requested.some(({ state }) => state === "pending" || state === "running");
  return [
    `before  ${grouped(sum(found))} objects ${words.stale}`,
    ...rows(found),
    `after   ${grouped(sum(left))}`,
    ...rows(left),
    "",
    ...(counts === undefined
      ? requested.map(
          ({ resource, name, state }) => `${visible(resource)}: StorageVersionMigration ${name}: ${state}`,
        )
      : [
          `${grouped(counts.rewritten)} rewritten, ${grouped(counts.deleted)} deleted by others meanwhile, ${grouped(counts.contended + counts.refused + counts.not_served)} left`,
        ]),
    ...marked(output, [...left.problems, ...left.warnings]),
    isProven(left)
      ? `${output.paint("green", "✓")} ${words.reached}`
      : left.remaining.length === 0
        ? `${output.paint("red", "✗")} nothing remains in what was read, but that proves nothing; see above`
        : isUnderWay
          ? `${output.paint("red", "✗")} the cluster is not through; wait for: kubectl get storageversionmigrations; then audit again`
          : `${output.paint("red", "✗")} not all could be rewritten; see above, then run migrate again`,
  ];
}

function marked(output: Output, lines: readonly string[]): readonly string[] {
  return lines.map((line) => `${output.paint("yellow", "!")} ${line}`);
}

function sum({ remaining }: Verdict): number {
  return remaining.reduce((total, { objects }) => total + objects, 0);
}

function rows({ remaining }: Verdict): readonly string[] {
  return remaining.map(
    ({ resource, under, objects }) => `    ${grouped(objects)} ${visible(resource)}: ${under}`,
  );
}
