/** @module `probe --compare`: whether the reports of several nodes show one key_id. */
import { countOf } from "../../base/words.ts";
import { textTable } from "../../cli/text-table.ts";
import type { NodeSighting } from "../../key/rotation/usage.ts";

interface Comparison {
  readonly isGood: boolean;
  readonly lines: readonly string[];
}

export function compareReports(reports: readonly NodeSighting[]): Comparison {
  const hosts = new Set(reports.map(({ host }) => host));
  const keyIds = new Set(reports.map(({ keyId }) => keyId));
  const problems = [
    ...(reports.length < 2 ? ["one report cannot be compared: give those of all control-plane nodes"] : []),
    ...(hosts.size < reports.length ? ["two reports are of the same host: give one of each node"] : []),
    ...reports.filter(({ healthy }) => !healthy).map(({ host }) => `${host}: its probe failed`),
    ...(keyIds.size > 1
      ? [
          `the nodes show ${keyIds.size} key_ids: wait until rotation-plan has nothing to do on each node, then probe again`,
        ]
      : []),
  ];
  const isGood = problems.length === 0;
  return {
    isGood,
    lines: [
      ...textTable(
        ["host", "checked at", "probe", "key_id"],
        reports.map(({ host, seenAtUnixMs, healthy, keyId }) => [
          host,
          new Date(seenAtUnixMs).toISOString(),
          healthy ? "passed" : "failed",
          keyId,
        ]),
      ),
      "",
      ...(isGood
        ? [`✓ ${countOf(reports.length, "node")} show one key_id`]
        : problems.map((each) => `✗ ${each}`)),
    ],
  };
}
