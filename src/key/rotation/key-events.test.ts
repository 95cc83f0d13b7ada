/** Which events follow from two snapshots: each beginning and each end once. */
import { expect, test } from "bun:test";
import { testPolicy } from "../../../test/fakes/key-node.ts";
import { TEST_IDENTITY } from "../../../test/fakes/key-scope.ts";
import { testFirstContent } from "../../../test/fakes/registry-fixture.ts";
import { withNewVersions, withObservation, withRejected } from "../registry/changes.ts";
import { finding } from "./finding.ts";
import { changeEvents, findingEvents } from "./key-events.ts";
import { handleMaker } from "./key-handles.ts";
import type { ProbeHistory } from "./probe-history.ts";

const { names, requireStableObservationCount } = testPolicy;
const { handleOf } = handleMaker(TEST_IDENTITY, "v1");

const nothing: ProbeHistory = { counts: [] };
/** As many probes as count, or fewer, that showed the finding. */
const seen = (
  code: "key_missing" | "min_encryption_above_active",
  count = requireStableObservationCount,
): ProbeHistory => ({
  counts: [{ finding: finding(code, names, 1), count }],
});

test.each<readonly [string, ProbeHistory, ProbeHistory, readonly string[]]>([
  ["nothing is wrong", nothing, nothing, []],
  [
    "a finding begins",
    nothing,
    seen("min_encryption_above_active"),
    ["rotation.profile warn min_encryption_above_active"],
  ],
  ["a finding stays", seen("min_encryption_above_active"), seen("min_encryption_above_active"), []],
  [
    "a finding ends",
    seen("min_encryption_above_active"),
    nothing,
    ["rotation.profile info min_encryption_above_active"],
  ],
  ["a loss is not confirmed", nothing, seen("key_missing", 1), []],
  ["a loss begins", nothing, seen("key_missing"), ["rotation.lost error key_missing"]],
  ["a loss stays", seen("key_missing"), seen("key_missing"), []],
  ["a loss ends", seen("key_missing"), nothing, ["rotation.recovered info key_missing"]],
  [
    "a loss becomes a smaller finding",
    seen("key_missing"),
    seen("min_encryption_above_active"),
    ["rotation.profile warn min_encryption_above_active", "rotation.recovered info key_missing"],
  ],
])("%s", (_, before, after, expected) => {
  const events = findingEvents({ history: before }, { history: after }, testPolicy);
  expect(events.map(({ name, level, fields }) => `${name} ${level} ${fields.code}`)).toEqual([...expected]);
});

const second = { version: 2, createdAtUnix: 1_700_000_002 };
const pending = withNewVersions(testFirstContent, [second], 9);
const rejected = withRejected(pending, { version: 2, createdAtUnix: 1_700_000_088 }, 9);
const observation = { ...second, count: 1, stableForMs: 0, lastSeenUnixMs: 1, lastSeenBootMs: 1 };
const observed = withObservation(pending, observation);
const observedAgain = withObservation(pending, { ...observation, count: 2 });

test.each([
  ["nothing", pending, pending, []],
  ["a new version", testFirstContent, pending, ["rotation.pending info 2"]],
  ["another version of the same number", pending, rejected, ["rotation.rejected error 2"]],
  ["the first observation", pending, observed, ["rotation.observed info 2"]],
  ["a further observation", observed, observedAgain, []],
  ["the end of an observation", observed, pending, []],
])("%s", (_, before, after, expected) => {
  const events = changeEvents(before, after, handleOf);
  expect(events.map(({ name, level, fields }) => `${name} ${level} ${fields.transitKeyVersion}`)).toEqual(
    expected,
  );
});
