import { expect, test } from "bun:test";
import { compareReports } from "./node-report.ts";

const node = (host: string, keyId = "a", healthy = true) => ({
  host,
  keyId,
  healthy,
  seenAtUnixMs: 0,
  removedVersions: undefined,
});

test.each([
  ["two nodes with one key_id", [node("a"), node("b")], true],
  ["two key_ids", [node("a"), node("b", "b")], false],
  ["a failed probe", [node("a"), node("b", "a", false)], false],
  ["one host twice", [node("a"), node("a"), node("b")], false],
  ["one report", [node("a")], false],
  ["none", [], false],
])("%s", (_, reports, isGood) => {
  const comparison = compareReports(reports);
  expect(comparison.isGood).toBe(isGood);
  expect(comparison.lines.some((line) => line.startsWith(isGood ? "✓" : "✗"))).toBe(true);
  expect(comparison.lines.some((line) => line.startsWith(isGood ? "✗" : "✓"))).toBe(false);
});
