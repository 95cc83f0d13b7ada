import { describe, expect, test } from "bun:test";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { leaseBytes } from "../../test/fakes/etcd/lease-bytes.ts";
import {
  testKeyId as keyId,
  TEST_IDENTITY,
  testMetadata,
  testVersion as version,
} from "../../test/fakes/key-scope.ts";
import { decodeNodeReport } from "../commands/node-report.ts";
import { fingerprint, identityHashes } from "../key/identity/fingerprint.ts";
import type { RegistryContent, VersionState } from "../key/registry/record.ts";
import {
  type AuditSource,
  type Evidence,
  keyUsages,
  type SourceAudit,
  type StoredGroup,
  sealEvidence,
} from "./evidence.ts";
import { isApiServerLease, isLiveLease } from "./stored/api-server-lease.ts";
import {
  canBeRewritten,
  isStale,
  NO_OBJECT_OF_OURS,
  plaintextObjects,
  verifyAway,
  verifyRotation,
} from "./verify-rotation.ts";

const identity = TEST_IDENTITY;
const mark = fingerprint(identity);
const ours = (number: number, objects: number): StoredGroup => ({
  kind: "ours",
  provider: "bao",
  keyId: keyId(number),
  version: number,
  versionFrom: "derived",
  objects,
});

const LIVE: AuditSource = {
  kind: "etcd",
  clusterId: "abc",
  endpoints: [],
  revision: 9,
  readAt: "2030-01-01T00:00:00.000Z",
  restarts: 0,
  apiServers: 3,
};

function audit(groups: readonly StoredGroup[], source: AuditSource = LIVE): SourceAudit {
  const objects = groups.reduce((sum, group) => sum + group.objects, 0);
  return {
    source,
    prefix: "/registry/",
    objects,
    resources: [
      { resource: "secrets", objects, groups: [...groups] },
      { resource: "pods", objects: 1, groups: [{ kind: "plaintext", objects: 1 }] },
    ],
    keyIds: groups.flatMap((group) =>
      group.kind === "ours"
        ? [
            {
              keyId: group.keyId,
              version: group.version,
              versionFrom: group.versionFrom,
              objects: group.objects,
            },
          ]
        : [],
    ),
  };
}

function evidence(audits: SourceAudit[], change: Partial<Evidence> = {}): Evidence {
  return {
    ...sealEvidence({
      kind: "bao-kms-provider/audit",
      schemaVersion: 1,
      createdAt: "2030-01-01T00:00:00.000Z",
      providerVersion: "0.1.0",
      configuration: { fingerprint: mark, providerName: "bao" },
      audits,
      limitations: ["backups"],
    }),
    ...change,
  };
}

const SNAPSHOT = {
  kind: "snapshot",
  file: "s.db",
  sha256: "0".repeat(64),
  integrity: "verified",
  sizeBytes: 1,
  revision: 9,
  readAt: "2030-01-01T00:00:00.000Z",
} as const;

function verdict(
  found: Evidence,
  states: readonly VersionState[] = ["retired", "active"],
  latest = states.length,
) {
  const content: RegistryContent = {
    identity: identityHashes(identity),
    fingerprint: mark,
    versions: states.map((state, index) => ({ ...version(index + 1), state, firstSeenUnixMs: 0 })),
  };
  const metadata = testMetadata(Array.from({ length: latest }, (_, index) => index + 1));
  return verifyRotation({
    content,
    scope: identity,
    fingerprint: mark,
    metadata,
    evidence: found,
  });
}

describe("verify-rotation", () => {
  test("done, from a running etcd", () => {
    expect(verdict(evidence([audit([ours(2, 50)])]))).toMatchObject({
      result: "done",
      confidence: "high",
      remaining: [],
      problems: [],
      limitations: ["backups"],
    });
  });

  test.each<[string, StoredGroup]>([
    ["an older version", ours(1, 4)],
    ["plaintext in Secrets", { kind: "plaintext", objects: 4 }],
    ["another provider", { kind: "kms_v1", provider: "old", objects: 4 }],
    ["a damaged envelope", { kind: "damaged", provider: "bao", objects: 4 }],
  ])("%s remains; plaintext pods do not count", (_, group) => {
    const { result, remaining } = verdict(evidence([audit([ours(2, 50), group])]));
    expect(result).toBe("remaining");
    const ofVersion = group.kind === "ours" ? group.version : undefined;
    expect(remaining).toMatchObject([
      { resource: "secrets", group: group.kind, version: ofVersion, objects: 4 },
    ]);
  });

  test.each<[string, Evidence, readonly VersionState[], number]>([
    ["a pending version", evidence([audit([ours(1, 5)])]), ["active", "pending"], 2],
    ["a version that was not seen yet", evidence([audit([ours(1, 5)])]), ["active"], 2],
    ["a version that Transit does not show", evidence([audit([ours(2, 5)])]), ["retired", "active"], 1],
    ["no object of this provider", evidence([audit([])]), ["active"], 1],
    [
      "another configuration",
      evidence([audit([ours(1, 5)])], { configuration: { fingerprint: "x", providerName: "bao" } }),
      ["active"],
      1,
    ],
  ])("%s: not proven", (_, found, states, latest) => {
    expect(verdict(found, states, latest)).toMatchObject({ result: "not_proven", confidence: "low" });
  });

  test("a rotation whose objects are all under older versions is not taken for the wrong etcd", () => {
    const { result, problems } = verdict(evidence([audit([ours(1, 5)])]));
    expect(result).toBe("remaining");
    expect(problems).toEqual([]);
  });

  test("objects of another installation do not show that it is the right etcd", () => {
    expect(verdict(evidence([audit([ours(9, 5)])])).problems).toContain(NO_OBJECT_OF_OURS);
  });

  test("confidence follows the sources", () => {
    expect(verdict(evidence([audit([ours(2, 5)], SNAPSHOT)])).confidence).toBe("limited");
    const bare = audit([ours(2, 5)], { ...SNAPSHOT, integrity: "absent" });
    expect(verdict(evidence([audit([ours(2, 5)]), bare])).confidence).toBe("low");
  });
});

describe("leaving", () => {
  const local: StoredGroup = { kind: "local_key", transformer: "aescbc", keyName: "k", objects: 4 };
  const plain: StoredGroup = { kind: "plaintext", objects: 3 };
  const before = evidence([audit([ours(1, 4)])]);
  const keyIds = [keyId(1), keyId(2)];

  test("nothing of ours is left where something was seen", () => {
    expect(verifyAway(before, evidence([audit([local])]), keyIds)).toEqual({ remaining: [], problems: [] });
  });

  test.each<[string, Evidence]>([
    ["an empty store", evidence([audit([])])],
    ["Secrets of another provider only", evidence([audit([local])])],
    ["objects of another installation", evidence([audit([ours(9, 4)])])],
    ["no store at all", evidence([])],
  ])("%s proves nothing", (_, seen) => {
    expect(verifyAway(seen, evidence([audit([])]), keyIds).problems).toEqual([NO_OBJECT_OF_OURS]);
  });

  test("what is ours or damaged remains", () => {
    const damaged: StoredGroup = { kind: "damaged", provider: "bao", objects: 2 };
    const { remaining } = verifyAway(before, evidence([audit([ours(2, 1), damaged, local, plain])]), keyIds);
    expect(remaining.map(({ group }) => group)).toEqual(["ours", "damaged"]);
  });

  test("plaintext is counted in resources that were encrypted, and nowhere else", () => {
    expect(plaintextObjects(before, evidence([audit([plain]), audit([plain])]))).toBe(6);
    expect(plaintextObjects(before, evidence([audit([local])]))).toBe(0);
  });
});

test.each<[StoredGroup["kind"], boolean]>([
  ["ours", true],
  ["plaintext", true],
  ["local_key", true],
  ["kms_v1", true],
  ["kms_v2_other", true],
  ["damaged", false],
  ["unknown", false],
])("a rewrite through kube-apiserver helps %s: %p", (kind, helps) => {
  const groups: readonly StoredGroup[] = [
    ours(1, 1),
    { kind: "plaintext", objects: 1 },
    { kind: "local_key", transformer: "aescbc", keyName: "k", objects: 1 },
    { kind: "kms_v1", provider: "old", objects: 1 },
    { kind: "kms_v2_other", provider: "p", keyId: "k", objects: 1 },
    { kind: "damaged", provider: "bao", objects: 1 },
    { kind: "unknown", objects: 1 },
  ];
  const group = groups.find((each) => each.kind === kind);
  expect(group !== undefined && canBeRewritten(group)).toBe(helps);
  // Where nothing should be encrypted, only what is ours under another key, or unreadable, is stale.
  const isOurs = kind === "ours";
  const staleIn = (...encrypted: string[]): boolean =>
    group !== undefined && isStale({ resource: "configmaps", group }, "another", new Set(encrypted));
  expect([staleIn(), staleIn("configmaps")]).toEqual([isOurs || !helps, true]);
  const underItsOwnKey = group?.kind === "ours" && isStale({ resource: "c", group }, group.keyId, new Set());
  expect(underItsOwnKey).toBe(false);
});

test("evidence in the words of plans", () => {
  const [live, snapshot, bare] = keyUsages(
    evidence([
      audit([ours(2, 5), { kind: "damaged", provider: "bao", objects: 2 }]),
      audit([], SNAPSHOT),
      audit([], { ...SNAPSHOT, integrity: "absent" }),
    ]),
  );
  expect(live).toMatchObject({ kind: "live", damaged: 2, liveApiServers: 3, fingerprint: mark });
  expect(live?.objectsByKeyId).toEqual(new Map([[keyId(2), 5]]));
  expect([snapshot?.kind, bare?.kind]).toEqual(["snapshot", "bare"]);
  expect([live?.name, snapshot?.name]).toEqual(["etcd cluster abc", "s.db"]);
});

describe("node reports", () => {
  const good = { host: "cp-1", checkedAt: "2030-01-01T00:00:00.000Z", keyId: "obk2.x", good: true, other: 1 };
  test("what probe prints", () => {
    expect(decodeNodeReport(Buffer.from(JSON.stringify(good)), "f")).toEqual({
      host: "cp-1",
      seenAtUnixMs: Date.parse(good.checkedAt),
      keyId: "obk2.x",
      healthy: true,
      removedVersions: undefined,
    });
  });
  test.each([{ host: "" }, { checkedAt: "yesterday" }, { keyId: 1 }, { good: "yes" }])("not %j", (change) => {
    expect(() => decodeNodeReport(Buffer.from(JSON.stringify({ ...good, ...change })), "f")).toThrow();
  });
});

describe("Leases of API servers", () => {
  const lease = (renewedSeconds: number): Uint8Array => leaseBytes({ durationSeconds: 3600, renewedSeconds });
  test.each([
    ["renewed just now", lease(1000), true],
    ["at its end", lease(1000 - 3600), true],
    ["a second behind its end", lease(1000 - 3601), false],
    ["not readable", Buffer.from("k8s:enc:kms:v2:x"), true],
    ["cut off", lease(1000 - 4000).subarray(0, 20), true],
    ["without a duration", leaseBytes({ renewedSeconds: -4000 }), true],
    ["without a time", leaseBytes({ durationSeconds: 1 }), true],
    ["empty", Buffer.from("k8s\0"), true],
  ])("%s", (_, value, live) => {
    expect(isLiveLease(value, 1_000_000)).toBe(live);
  });
  test("a field of another number or type is passed over", () => {
    const time = new BinaryWriter()
      .tag(2, WireType.Varint)
      .int32(5)
      .tag(1, WireType.Varint)
      .int64(1)
      .finish();
    const spec = new BinaryWriter()
      .tag(1, WireType.Varint)
      .int32(9999)
      .tag(2, WireType.LengthDelimited)
      .string("x")
      .tag(2, WireType.Varint)
      .int32(1)
      .tag(4, WireType.LengthDelimited)
      .bytes(time)
      .finish();
    const raw = new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(spec).finish();
    const unknown = new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(raw).finish();
    const value = Buffer.concat([Buffer.from("k8s\0"), unknown]);
    expect([isLiveLease(value, 2000), isLiveLease(value, 2001)]).toEqual([true, false]);
  });
  test("are recognised by resource and name", () => {
    expect(isApiServerLease("leases.coordination.k8s.io", "kube-system/apiserver-abc")).toBe(true);
    expect(isApiServerLease("leases.coordination.k8s.io", "kube-node-lease/n")).toBe(false);
    expect(isApiServerLease("secrets", "kube-system/apiserver-abc")).toBe(false);
  });
});
