import { expect, test } from "bun:test";
import { ERROR_CLASSES, ProviderError } from "../base/error-class.ts";
import { type AuditCode, auditError } from "../etcd/errors.ts";
import { EXIT_CODES, exitOfError } from "./exit-code.ts";

const codes: readonly (readonly [AuditCode, number])[] = [
  ["snapshot_unreadable", 3],
  ["snapshot_read_failed", 1],
  ["snapshot_not_etcd", 4],
  ["snapshot_truncated", 4],
  ["snapshot_hash_mismatch", 4],
  ["snapshot_damaged", 4],
  ["snapshot_changed", 4],
  ["evidence_invalid", 4],
  ["node_report_invalid", 4],
  ["etcd_unreachable", 4],
  ["etcd_compacted", 4],
  ["etcd_denied", 4],
  ["etcd_reply_invalid", 4],
  ["etcd_object_too_large", 4],
  ["too_many_groups", 4],
  ["etcd_other_cluster", 3],
];

test.each(codes)("an audit that ends with %s exits %d", (code, exit) => {
  expect<number>(EXIT_CODES[exitOfError(auditError(code, { message: "" }))].code).toBe(exit);
});

test("an unforeseen error is an internal failure", () => {
  expect(exitOfError(new Error("any"))).toBe("internal");
});

test("each class of error has its exit", () => {
  const exits = ERROR_CLASSES.map((errorClass) => [
    errorClass,
    EXIT_CODES[exitOfError(new ProviderError({ code: "x", errorClass, message: "" }))].code,
  ]);
  const others = exits.filter(([, code]) => code !== EXIT_CODES.refused.code);
  expect(others).toEqual([
    ["config_invalid", 3],
    ["canceled", 5],
    ["unknown", 1],
  ]);
  expect(Object.values(EXIT_CODES).map(({ code }) => code)).toEqual([0, 1, 2, 3, 4, 5, 6]);
});
