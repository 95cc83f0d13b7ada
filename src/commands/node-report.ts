/** @module Reports of probe on control-plane nodes: read from hostile bytes, and compared. */
import * as v from "valibot";
import { parseJson } from "../base/parse-json.ts";
import { countOf } from "../base/words.ts";
import { textTable } from "../cli/output.ts";
import { auditError } from "../etcd/errors.ts";
import type { NodeReport } from "../key/rotation/usage.ts";
import { readInputFile } from "./input-file.ts";

const MAX_NODE_REPORT_BYTES = 1024 * 1024;

const REPORT = v.object({
  host: v.pipe(v.string(), v.minLength(1), v.maxLength(253)),
  checkedAt: v.pipe(v.string(), v.isoTimestamp()),
  keyId: v.pipe(v.string(), v.maxLength(1024)),
  good: v.boolean(),
  /** Only when the probe was given the node's configuration. */
  removedVersions: v.optional(v.array(v.pipe(v.number(), v.safeInteger(), v.minValue(1)))),
});

/** Throws AuditError `node_report_invalid`; `name` is the file's, for the message. */
export function decodeNodeReport(bytes: Uint8Array, name: string): NodeReport {
  const result = v.safeParse(REPORT, parseJson(bytes));
  if (!result.success) {
    throw auditError("node_report_invalid", {
      message: `${name} is not a report of probe`,
      advice: "create it on the node with `bao-kms-provider probe --output json > FILE`",
    });
  }
  const { host, checkedAt, keyId, good, removedVersions } = result.output;
  return { host, seenAtUnixMs: Date.parse(checkedAt), keyId, healthy: good, removedVersions };
}

/** @throws SafeFileError, AuditError */
export async function readNodeReport(path: string, field: string): Promise<NodeReport> {
  const rules = { what: "the node report", field, maxBytes: MAX_NODE_REPORT_BYTES, secret: false };
  return decodeNodeReport(await readInputFile(path, rules), path);
}

/** Whether all nodes show one key_id, in lines for a person. */
export function compareReports(reports: readonly NodeReport[]) {
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
