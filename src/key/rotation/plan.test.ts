import { describe, expect, test } from "bun:test";
import { type FakeKey, fakeKey } from "../../../test/fakes/fake-key.ts";
import { type KeyNode, keyNode, NODE_STATE_PATH, testPolicy } from "../../../test/fakes/key-node.ts";
import { testMetadata } from "../../../test/fakes/key-scope.ts";
import { rotated, testFirstContent, testIdentity } from "../../../test/fakes/registry-fixture.ts";
import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import { withNewVersions, withRemoved } from "../registry/changes.ts";
import { decodeRecord } from "../registry/encoding.ts";
import type { RegistryContent } from "../registry/record.ts";
import { planRotation, type RotationReport } from "./plan.ts";
import { planRestore } from "./plan-restore.ts";
import { planRetire } from "./plan-retire.ts";

const never = new AbortController().signal;

async function reportOf(node: KeyNode, key: FakeKey, asked = true): Promise<RotationReport> {
  const decoded = decodeRecord(node.disk.get(NODE_STATE_PATH) ?? new Uint8Array());
  if (decoded.kind === "refused") {
    throw new Error(decoded.code);
  }
  const answer = asked
    ? ({ kind: "key", key: await key.transit.readKey(never), upsertDisabled: true } as const)
    : undefined;
  const { record, hash } = decoded;
  return planRotation(
    testIdentity,
    { record, hash, checkpoint: "current", fileIdentity: "" },
    answer,
    testPolicy,
  );
}

describe("a rotation's report", () => {
  test("follows it step by step", async () => {
    const key = fakeKey();
    const node = keyNode(key);
    await node.probe();
    expect((await reportOf(node, key)).next).toEqual({ kind: "none" });
    key.rotate();
    expect((await reportOf(node, key)).next).toEqual({ kind: "observe", version: 2 });
    expect((await reportOf(node, key, false)).next).toEqual({ kind: "none" });
    await node.probe();
    expect((await reportOf(node, key)).next).toEqual({
      kind: "wait",
      version: 2,
      missingObservations: 2,
      missingMs: 120_000,
      earliestInMs: 120_000,
    });
    expect((await reportOf(node, key, false)).next).toMatchObject({ kind: "wait", version: 2 });
    await node.probe();
    await node.probe();
    expect((await reportOf(node, key)).next).toEqual({
      kind: "wait",
      version: 2,
      missingObservations: 0,
      missingMs: 120_000,
      earliestInMs: 120_000,
    });
    key.failWith("version_too_new", "encrypt");
    for (let probe = 0; probe < 4; probe += 1) {
      await node.probeAfter(30_000);
    }
    expect((await reportOf(node, key)).next).toEqual({ kind: "promote", version: 2 });
    key.failWith(undefined);
    await node.probe();
    const done = await reportOf(node, key);
    expect(done.next).toEqual({ kind: "none" });
    expect(done.activeVersion).toBe(2);
    expect(done.versions.map(({ state, shown, hasMarker }) => [state, shown, hasMarker])).toEqual([
      ["retired", true, true],
      ["active", true, true],
    ]);
    expect(node.keys.keyForEncrypt().keyId).toBe(done.versions[1]?.keyId ?? "");
  });

  const stepOf = ({ next }: RotationReport) =>
    next.kind === "blocked" ? next.by.map((each) => each.code) : next.kind;

  test("names what blocks it", async () => {
    const key = fakeKey();
    const node = keyNode(key);
    await node.probe();
    const before = key.state;
    key.rotate();
    key.change({ settings: { deletionAllowed: true } });
    expect(stepOf(await reportOf(node, key))).toEqual(["deletion_allowed"]);
    key.change({ settings: {} });
    await node.probe();
    key.lag(before);
    expect(stepOf(await reportOf(node, key))).toEqual(["latest_below_recorded"]);
  });

  test("is not blocked by a notice about an older version", async () => {
    const key = fakeKey();
    const node = keyNode(key);
    await node.probe();
    key.rotate();
    for (let probe = 0; probe < 6; probe += 1) {
      await node.probeAfter(30_000);
    }
    key.change({
      versions: key.state.versions.map((each) =>
        each.version === 1 ? { ...each, createdAtUnix: each.createdAtUnix + 1 } : each,
      ),
    });
    const report = await reportOf(node, key);
    expect(report.findings.map(({ code }) => code)).toEqual(["version_recreated"]);
    expect(report.versions.map(({ shown }) => shown)).toEqual([false, true]);
    expect(stepOf(report)).toBe("none");
  });
});

describe("retirement", () => {
  const content = rotated(rotated(testFirstContent));
  /** Versions with creation times as Transit shows them. */
  const shown = (versions: readonly KeyVersion[]) =>
    testMetadata([], { versions, latestVersion: versions.at(-1)?.version ?? 0 });
  const retired = (before: RegistryContent, beforeVersion: number): string => {
    const { remove, blockers } = planRetire({
      content: before,
      scope: testIdentity,
      fingerprint: before.fingerprint,
      metadata: shown(before.versions),
      beforeVersion,
      usages: [],
      nodes: [],
      nowUnixMs: 0,
    });
    return (
      blockers.find(({ overridable }) => !overridable)?.code ?? remove.map(({ version }) => version)
    ).toString();
  };

  test("removes what is retired below a version", () => {
    expect(retired(content, 2)).toBe("1");
    expect(retired(content, 3)).toBe("1,2");
    expect(retired(content, 4)).toBe("not_below_active");
    expect(retired(content, 1)).toBe("nothing_to_remove");
    const pending = withNewVersions(content, [{ version: 4, createdAtUnix: 9 }], 9);
    expect(retired(pending, 2)).toBe("version_pending");
  });

  test("restores what was removed", () => {
    const removed = withRemoved(content, [1]);
    const restored = (wanted: readonly number[]): string => {
      const { restore, blockers } = planRestore(removed, shown(removed.versions), wanted);
      return (blockers[0]?.code ?? restore.map(({ version }) => version)).toString();
    };
    expect(restored([1, 2])).toBe("1");
    expect(restored([2])).toBe("nothing_to_restore");
    expect(restored([9])).toBe("version_unknown");
  });

  test("a version that a command removed is refused by the running provider, and comes back", async () => {
    const key = fakeKey();
    const node = keyNode(key);
    await node.probe();
    const { keyId } = node.keys.keyForEncrypt();
    key.rotate();
    for (let probe = 0; probe < 6; probe += 1) {
      await node.probeAfter(30_000);
    }
    await node.command((stored) => withRemoved(stored, [1]));
    await node.probe();
    expect(node.keys.keyForDecrypt(keyId, never)).rejects.toMatchObject({ code: "version_removed" });
    await node.command((stored) => ({
      ...stored,
      versions: stored.versions.map((each) =>
        each.state === "removed" ? { ...each, state: "retired" } : each,
      ),
    }));
    await node.probe();
    expect((await node.keys.keyForDecrypt(keyId, never)).version).toBe(1);
  });
});
