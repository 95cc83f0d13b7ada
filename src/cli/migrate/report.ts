/**
 * What migrate found, did and left.
 *
 * @module The report, as text and as JSON.
 */
import { grouped } from "../../audit/group-label.ts";
import type { RewriteCounts } from "../../migrate/rewrite-all.ts";
import { jsonText, type Output } from "../output.ts";
import type { Goal } from "./goal.ts";

export interface MigrateOutcome {
  readonly found: ReturnType<Goal["judge"]>;
  readonly left: ReturnType<Goal["judge"]>;
  /** Absent in a dry run. */
  readonly counts: RewriteCounts | undefined;
}

export function reportMigration(
  format: "text" | "json",
  output: Output,
  goal: Goal,
  { found, left, counts }: MigrateOutcome,
): void {
  if (format === "json") {
    output.result(
      jsonText({
        applied: counts !== undefined,
        before: found,
        after: left,
        ...(counts === undefined ? {} : { counts }),
      }),
    );
    return;
  }
  const sum = (verdict: MigrateOutcome["found"]): number =>
    verdict.remaining.reduce((total, { objects }) => total + objects, 0);
  const rows = (verdict: MigrateOutcome["found"]): readonly string[] =>
    verdict.remaining.map(({ resource, under, objects }) => `    ${grouped(objects)} ${resource}: ${under}`);
  const lines =
    counts === undefined
      ? [
          `${grouped(sum(found))} objects would be rewritten to ${goal.text}:`,
          ...rows(found),
          ...found.problems.map((problem) => `${output.paint("yellow", "!")} ${problem}`),
          "nothing was changed; --apply does it",
        ]
      : [
          `before  ${grouped(sum(found))} objects not under ${goal.text}`,
          ...rows(found),
          `after   ${grouped(sum(left))}`,
          ...rows(left),
          "",
          `${grouped(counts.rewritten)} rewritten, ${grouped(counts.deleted)} deleted by others meanwhile, ${grouped(counts.contended + counts.refused + counts.not_served)} left`,
          left.remaining.length === 0
            ? `${output.paint("green", "✓")} every object lies under ${goal.text}`
            : `${output.paint("red", "✗")} not all could be rewritten; see above, then run migrate again`,
        ];
  output.result(`${lines.join("\n")}\n`);
}
