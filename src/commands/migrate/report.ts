/**
 * What migrate found, did and left.
 *
 * @module The report, as text and as JSON.
 */

import { jsonText, type Output } from "../../cli/output.ts";
import { grouped } from "../../etcd/group-label.ts";
import type { Goal } from "./goal.ts";
import type { RewriteCounts } from "./rewrite-all.ts";
import type { RequestedMigration } from "./rewrite-through-cluster.ts";

export interface MigrateOutcome {
  readonly found: ReturnType<Goal["judge"]>;
  readonly left: ReturnType<Goal["judge"]>;
  /** Of what was rewritten from here. Like `requested` absent in a dry run. */
  readonly counts?: RewriteCounts;
  /** Of what the cluster was asked to rewrite. */
  readonly requested?: readonly RequestedMigration[];
}

export function reportMigration(
  format: "text" | "json",
  output: Output,
  goal: Goal,
  outcome: MigrateOutcome,
): void {
  const { found, left, counts, requested } = outcome;
  const isApplied = counts !== undefined || requested !== undefined;
  if (format === "json") {
    output.result(jsonText({ applied: isApplied, before: found, after: left, counts, requested }));
    return;
  }
  const lines = isApplied ? appliedLines(output, goal, outcome) : plannedLines(output, goal, found);
  output.result(`${lines.join("\n")}\n`);
}

type Verdict = MigrateOutcome["found"];

function plannedLines(output: Output, goal: Goal, found: Verdict): readonly string[] {
  return [
    `${grouped(sum(found))} objects would be rewritten to ${goal.text}:`,
    ...rows(found),
    ...found.problems.map((problem) => `${output.paint("yellow", "!")} ${problem}`),
    "nothing was changed; --apply does it",
  ];
}

function appliedLines(
  output: Output,
  goal: Goal,
  { found, left, counts, requested = [] }: MigrateOutcome,
): readonly string[] {
  const isUnderWay = requested.some(({ state }) => state === "pending" || state === "running");
  return [
    `before  ${grouped(sum(found))} objects not under ${goal.text}`,
    ...rows(found),
    `after   ${grouped(sum(left))}`,
    ...rows(left),
    "",
    ...(counts === undefined
      ? requested.map(({ resource, name, state }) => `${resource}: StorageVersionMigration ${name}: ${state}`)
      : [
          `${grouped(counts.rewritten)} rewritten, ${grouped(counts.deleted)} deleted by others meanwhile, ${grouped(counts.contended + counts.refused + counts.not_served)} left`,
        ]),
    left.remaining.length === 0
      ? `${output.paint("green", "✓")} every object lies under ${goal.text}`
      : isUnderWay
        ? `${output.paint("red", "✗")} the cluster is not through; wait for: kubectl get storageversionmigrations; then audit again`
        : `${output.paint("red", "✗")} not all could be rewritten; see above, then run migrate again`,
  ];
}

function sum({ remaining }: Verdict): number {
  return remaining.reduce((total, { objects }) => total + objects, 0);
}

function rows({ remaining }: Verdict): readonly string[] {
  return remaining.map(({ resource, under, objects }) => `    ${grouped(objects)} ${resource}: ${under}`);
}
