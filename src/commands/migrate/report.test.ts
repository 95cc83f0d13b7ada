import { expect, test } from "bun:test";
import * as v from "valibot";
import { REPORT_SCHEMAS } from "../../../scripts/reference/report-schemas.ts";
import { recordedOutput } from "../../../test/fakes/recorded-output.ts";
import { NO_OBJECT_OF_OURS } from "../../etcd/verify-rotation.ts";
import { AWAY_WORDS } from "./goal.ts";
import { isProven, type MigrateOutcome, reportMigration } from "./report.ts";

const stale = (objects: number) => ({
  problems: [],
  warnings: [],
  remaining: [
    {
      source: "etcd cluster 1",
      resource: "secrets",
      under: "version 1",
      group: "ours",
      version: 1,
      objects,
    } as const,
  ],
});
const none = { problems: [], remaining: [], warnings: [] };
const counts = { rewritten: 1200, deleted: 1, contended: 0, refused: 0, not_served: 0 };
const noCounts = { rewritten: 0, deleted: 0, contended: 0, refused: 0, not_served: 0 };
const unproven = { ...none, problems: [NO_OBJECT_OF_OURS] };
const requested = [{ resource: "secrets", name: "bao-kms-provider-x", state: "succeeded" } as const];

const outcomes: readonly (readonly [string, MigrateOutcome])[] = [
  ["a dry run", { found: { ...stale(1201), problems: ["version 3 is waiting"] }, left: stale(1201) }],
  ["rewritten", { found: stale(1201), left: none, counts }],
  ["some are left", { found: stale(1201), left: stale(2), counts: { ...counts, refused: 2 } }],
  ["a dry run that saw nothing of ours", { found: unproven, left: unproven }],
  ["rewritten, and nothing of ours was ever seen", { found: unproven, left: unproven, counts: noCounts }],
  [
    "to plaintext",
    {
      found: { ...stale(5), warnings: ["to PLAINTEXT"] },
      left: { ...none, warnings: ["5 in PLAINTEXT"] },
      counts,
    },
  ],
  ["by the cluster", { found: stale(1201), left: none, requested }],
  [
    "the cluster is not through",
    {
      found: stale(1201),
      left: stale(9),
      requested: [{ resource: "secrets", name: "bao-kms-provider-x", state: "running" }],
    },
  ],
];

test("only what was seen and is gone is a success", () => {
  expect(isProven(none)).toBe(true);
  expect(isProven(unproven)).toBe(false);
  expect(isProven(stale(1))).toBe(false);
});

test.each(outcomes)("%s", (_, outcome) => {
  const said = (format: "text" | "json"): string => {
    const output = recordedOutput();
    reportMigration(format, output, AWAY_WORDS, outcome);
    return output.stdout();
  };
  expect(said("text")).toMatchSnapshot();
  const report = JSON.parse(said("json"));
  expect(v.safeParse(REPORT_SCHEMAS.migrate, report).issues).toBeUndefined();
  expect(report.applied).toBe(outcome.counts !== undefined || outcome.requested !== undefined);
});
