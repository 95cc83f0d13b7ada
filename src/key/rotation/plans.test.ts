import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  testKeyId as keyId,
  testMetadata as metadata,
  TEST_IDENTITY,
  testVersion as version,
} from "../../../test/fakes/key-scope.ts";
import { fingerprint, identityHashes } from "../identity/fingerprint.ts";
import type { RegistryContent, VersionState } from "../registry/record.ts";
import { planRebuild, type RebuildInput } from "./plan-rebuild.ts";
import { planRestore } from "./plan-restore.ts";
import { planRetire, type RetireInput, withPlannedRemoval } from "./plan-retire.ts";
import type { NodeReport, Usage } from "./usage.ts";

const identity = TEST_IDENTITY;
const MINUTE = 60_000;
const NOW = 1_800_000_000_000;

function content(states: readonly VersionState[]): RegistryContent {
  return {
    identity: identityHashes(identity),
    fingerprint: fingerprint(identity),
    versions: states.map((state, index) => ({ ...version(index + 1), state, firstSeenUnixMs: 0 })),
  };
}

function usage(objects: Readonly<Record<number, number>>, change: Partial<Usage> = {}): Usage {
  const numbers = Object.keys(objects).map(Number);
  return {
    name: "etcd cluster 1",
    kind: "live",
    readAtUnixMs: NOW - MINUTE,
    fingerprint: fingerprint(identity),
    objectsByKeyId: new Map(numbers.map((each) => [keyId(each), objects[each] ?? 0])),
    statedVersions: new Map(numbers.map((each) => [keyId(each), each])),
    damaged: 0,
    liveApiServers: 2,
    ...change,
  };
}

function node(host: string, change: Partial<NodeReport> = {}): NodeReport {
  return {
    host,
    seenAtUnixMs: NOW - 10 * MINUTE,
    keyId: keyId(3),
    healthy: true,
    removedVersions: undefined,
    ...change,
  };
}

describe("retire", () => {
  const good: RetireInput = {
    content: content(["retired", "retired", "active"]),
    scope: identity,
    fingerprint: fingerprint(identity),
    metadata: metadata([1, 2, 3]),
    beforeVersion: 3,
    usages: [usage({ 3: 50 })],
    nodes: [node("a"), node("b")],
    nowUnixMs: NOW,
  };

  test("with fresh evidence of nothing left, and every node on the active key_id", () => {
    const plan = planRetire(good);
    expect(plan.blockers).toEqual([]);
    expect(plan.remove.map((each) => each.version)).toEqual([1, 2]);
    expect(plan.raiseMinDecryptionTo).toBeUndefined();
    expect(withPlannedRemoval(good.content, plan, undefined, NOW).versions.map(({ state }) => state)).toEqual(
      ["removed", "removed", "active"],
    );
  });

  test("min_decryption_version is named only when every node shows the versions removed", () => {
    const removed = { ...good, content: content(["removed", "removed", "active"]) };
    const nodes = [node("a", { removedVersions: [1, 2] }), node("b", { removedVersions: [1, 2] })];
    expect(planRetire({ ...removed, nodes })).toMatchObject({ raiseMinDecryptionTo: 3, blockers: [] });
    expect(planRetire({ ...removed, nodes: nodes.slice(1) }).raiseMinDecryptionTo).toBeUndefined();
    expect(planRetire({ ...removed, nodes: [...nodes, node("c")] }).raiseMinDecryptionTo).toBeUndefined();
    expect(planRetire({ ...good, nodes }).raiseMinDecryptionTo).toBeUndefined();
    const gap = { ...good, content: content(["removed", "retired", "removed", "active"]) };
    const ofGap = [node("a", { removedVersions: [1] }), node("b", { removedVersions: [1, 3] })];
    expect(planRetire({ ...gap, nodes: ofGap }).raiseMinDecryptionTo).toBe(2);
    const nothingRemoved = { ...good, content: content(["rejected", "retired", "active"]), nodes };
    expect(planRetire(nothingRemoved).raiseMinDecryptionTo).toBeUndefined();
    const raised = { ...removed, nodes, metadata: metadata([3], { minDecryptionVersion: 3 }) };
    expect(planRetire(raised).raiseMinDecryptionTo).toBeUndefined();
  });

  test("with evidence that was read five minutes after the last node was seen", () => {
    const nodes = [node("a"), node("b", { seenAtUnixMs: NOW - 6 * MINUTE })];
    expect(planRetire({ ...good, nodes }).blockers).toEqual([]);
  });

  test.each([0, 15 * MINUTE])("evidence of an age of %i ms is not stale", (ageMs) => {
    const { blockers } = planRetire({ ...good, usages: [usage({ 3: 50 }, { readAtUnixMs: NOW - ageMs })] });
    expect(blockers.map(({ code }) => code)).not.toContain("stale_evidence");
  });

  test.each([
    ["live", "run migrate"],
    ["snapshot", "keep the version"],
  ] as const)("what to do about a version that a %s needs", (kind, advice) => {
    const { blockers } = planRetire({ ...good, usages: [usage({ 1: 1, 3: 50 }, { kind })] });
    expect(blockers.find(({ code }) => code === "still_needed")?.advice).toStartWith(advice);
  });

  test("an override is recorded with who and why", () => {
    const next = withPlannedRemoval(good.content, planRetire(good), { by: "uid 0", reason: "ticket 7" }, NOW);
    expect(next.notes).toEqual([{ atUnixMs: NOW, kind: "retire_override", by: "uid 0", reason: "ticket 7" }]);
  });

  test.each<[string, boolean, Partial<RetireInput>]>([
    ["not_below_active", false, { beforeVersion: 4 }],
    ["nothing_to_remove", false, { beforeVersion: 1 }],
    ["version_pending", false, { content: content(["retired", "active", "pending"]), beforeVersion: 2 }],
    [
      "version_pending",
      false,
      { content: content(["retired", "active", "pending"]), beforeVersion: 2, metadata: metadata([1, 2]) },
    ],
    ["version_pending", false, { metadata: metadata([1, 2, 3, 4]) }],
    ["no_live_evidence", true, { usages: [] }],
    ["no_live_evidence", true, { usages: [usage({ 3: 50 }, { kind: "snapshot" })] }],
    ["still_needed", true, { usages: [usage({ 1: 1, 3: 50 })] }],
    ["still_needed", true, { usages: [usage({ 3: 50 }), usage({ 2: 4 }, { kind: "snapshot" })] }],
    ["bare_database", true, { usages: [usage({ 3: 50 }), usage({}, { kind: "bare" })] }],
    ["other_fingerprint", true, { usages: [usage({ 3: 50 }, { fingerprint: "0000-0000-0000-0000" })] }],
    ["other_fingerprint", true, { usages: [usage({ 3: 50 }, { fingerprint: undefined })] }],
    ["damaged_envelopes", true, { usages: [usage({ 3: 50 }, { damaged: 1 })] }],
    ["unknown_key_ids", true, { usages: [usage({ 3: 50, 9: 1 })] }],
    ["nothing_of_ours", true, { usages: [usage({})] }],
    ["nothing_of_ours", true, { usages: [usage({ 9: 1 })] }],
    ["nothing_under_active", true, { usages: [usage({ 2: 4 })] }],
    ["stale_evidence", true, { usages: [usage({ 3: 50 }, { readAtUnixMs: NOW - 16 * MINUTE })] }],
    ["stale_evidence", true, { usages: [usage({ 3: 50 }, { readAtUnixMs: NOW + MINUTE })] }],
    ["nodes_missing", true, { nodes: [node("a")] }],
    ["nodes_missing", true, { nodes: [node("a"), node("a")] }],
    ["nodes_missing", true, { nodes: [], usages: [usage({ 3: 50 }, { liveApiServers: 0 })] }],
    ["node_behind", true, { nodes: [node("a"), node("b"), node("c", { keyId: keyId(2) })] }],
    ["node_behind", true, { nodes: [node("a"), node("b"), node("c", { healthy: false })] }],
    ["read_too_early", true, { nodes: [node("a"), node("b", { seenAtUnixMs: NOW - 6 * MINUTE + 1 })] }],
  ])("%s (overridable: %p)", (code, overridable, change) => {
    const found = planRetire({ ...good, ...change }).blockers.find((each) => each.code === code);
    expect(found).toMatchObject({ code, overridable });
  });

  test("whatever is stored: a version that an object needs is never removed without a word", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ 1: fc.nat(3), 2: fc.nat(3), 3: fc.nat(3) }), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 4 }),
        (stored, beforeVersion) => {
          const plan = planRetire({ ...good, usages: stored.map((each) => usage(each)), beforeVersion });
          const needed = plan.remove.some((each) =>
            stored.some((objects) => (each.version === 1 ? objects[1] : objects[2]) > 0),
          );
          expect(plan.blockers.some(({ code }) => code === "still_needed")).toBe(needed);
          expect(plan.remove.every(({ state }) => state === "retired")).toBe(true);
        },
      ),
    );
  });
});

describe("restore", () => {
  const removed = content(["removed", "removed", "active"]);

  test("what Transit still has", () => {
    expect(planRestore(removed, metadata([1, 2, 3]), [1, 2])).toMatchObject({
      restore: [{ version: 1 }, { version: 2 }],
      blockers: [],
    });
  });

  test.each([
    ["nothing_to_restore", 3, metadata([1, 2, 3])],
    ["version_unknown", 7, metadata([1, 2, 3])],
    ["hidden_version", 1, metadata([2, 3], { minDecryptionVersion: 2 })],
    ["version_gone", 1, metadata([2, 3])],
    ["version_gone", 1, metadata([1, 2, 3], { versions: [{ version: 1, createdAtUnix: 5 }] })],
  ] as const)("%s", (code, number, live) => {
    expect(planRestore(removed, live, [number]).blockers).toMatchObject([{ code }]);
  });

  test("a trimmed version and one that was made again have different reasons", () => {
    const reasons = [[], [{ version: 1, createdAtUnix: 5 }]].map(
      (versions) => planRestore(removed, metadata([1, 2, 3], { versions }), [1]).blockers[0]?.message ?? "",
    );
    expect(reasons.map((reason) => reason.includes("trimmed"))).toEqual([true, false]);
  });

  test("nothing, when one of them is unknown", () => {
    const { restore, blockers } = planRestore(removed, metadata([1, 2, 3]), [1, 7]);
    expect(restore).toEqual([]);
    expect(blockers).toMatchObject([{ code: "version_unknown" }]);
  });
});

describe("rebuild", () => {
  const base: RebuildInput = {
    identity,
    fingerprint: fingerprint(identity),
    metadata: metadata([1, 2, 3]),
    expectedKeyId: undefined,
    handedOver: [],
    usages: [usage({ 1: 3, 2: 9 })],
    abandon: undefined,
    nowUnixMs: NOW,
  };
  const statesOf = (input: RebuildInput): readonly string[] | undefined =>
    planRebuild(input).content?.versions.map(({ version: number, state }) => `${number} ${state}`);

  test("from evidence: the newest version in use is active, newer ones wait", () => {
    expect(statesOf(base)).toEqual(["1 retired", "2 active", "3 pending"]);
    expect(planRebuild(base).content?.versions.map(({ activatedUnixMs }) => activatedUnixMs)).toEqual([
      undefined,
      NOW,
      undefined,
    ]);
  });
  test("from another node's key_id", () => {
    expect(statesOf({ ...base, usages: [], expectedKeyId: keyId(3) })).toEqual([
      "1 retired",
      "2 retired",
      "3 active",
    ]);
  });
  test("from a running etcd without objects of ours: the newest", () => {
    expect(statesOf({ ...base, usages: [usage({})] })).toEqual(["1 retired", "2 retired", "3 active"]);
  });
  test("from the Go implementation: hidden versions come from its registry", () => {
    const input = {
      ...base,
      metadata: metadata([2, 3], { minDecryptionVersion: 2 }),
      handedOver: [version(1), version(2)],
    };
    expect(statesOf(input)).toEqual(["1 retired", "2 active", "3 pending"]);
  });
  test.each([-15, 15])("from evidence at the edge of its age: %i minutes", (minutes) => {
    const edge = usage({ 2: 1 }, { readAtUnixMs: NOW + minutes * MINUTE });
    expect(statesOf({ ...base, usages: [edge] })).toEqual(["1 retired", "2 active", "3 pending"]);
  });
  test("a version at the bound of min_decryption_version that is not shown is gone, and not hidden", () => {
    const input = {
      ...base,
      metadata: metadata([3], { minDecryptionVersion: 2 }),
      usages: [usage({ 2: 1 })],
    };
    expect(planRebuild(input).unreadable).toMatchObject([{ statedVersion: 2, why: "gone" }]);
  });
  test("given up by a person: recorded forever", () => {
    const input = { ...base, usages: [usage({ 2: 1, 9: 4 })], abandon: { by: "uid 0", reason: "lost" } };
    const plan = planRebuild(input);
    expect(plan.unreadable).toMatchObject([{ statedVersion: 9, objects: 4, why: "gone" }]);
    expect(plan.content?.notes?.at(-1)).toMatchObject({ kind: "abandoned", reason: "lost (versions 9)" });
  });

  test.each<[string, Partial<RebuildInput>]>([
    ["no_proof", { usages: [] }],
    ["no_proof", { usages: [usage({ 2: 1 }, { kind: "snapshot" })] }],
    ["expected_not_derivable", { expectedKeyId: keyId(8) }],
    ["stale_evidence", { usages: [usage({ 2: 1 }, { readAtUnixMs: NOW - 16 * MINUTE })] }],
    ["stale_evidence", { usages: [usage({ 2: 1 }, { readAtUnixMs: NOW + 16 * MINUTE })] }],
    ["other_fingerprint", { usages: [usage({ 2: 1 }, { fingerprint: undefined })] }],
    ["hidden_version", { metadata: metadata([2, 3], { minDecryptionVersion: 2 }) }],
    ["gone", { usages: [usage({ 9: 1 })] }],
    [
      "made_again",
      { metadata: metadata([1, 2], { versions: [{ version: 1, createdAtUnix: 5 }, version(2)] }) },
    ],
    ["made_again", { handedOver: [{ version: 2, createdAtUnix: 5 }] }],
    ["no_versions", { metadata: metadata([1], { versions: [] }), usages: [usage({})] }],
  ])("%s: refused", (code, change) => {
    const plan = planRebuild({ ...base, ...change });
    expect(plan.blockers.map((each) => each.code)).toContain(code);
    expect(plan.content).toBeUndefined();
  });
});
