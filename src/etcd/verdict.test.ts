import { describe, expect, test } from "bun:test";
import { ourStoredValue } from "../../test/fakes/etcd/envelope-bytes.ts";
import { TEST_IDENTITY } from "../../test/fakes/key-scope.ts";
import type { SourceAudit, StoredGroup } from "./evidence.ts";
import { tally } from "./tally.ts";
import { verdictOf } from "./verdict.ts";

const ours = (version: number, objects: number): StoredGroup => ({
  kind: "ours",
  provider: "bao",
  keyId: `k${version}`,
  version,
  versionFrom: "derived",
  objects,
});
const plain = (objects: number): StoredGroup => ({ kind: "plaintext", objects });

function audit(groups: readonly StoredGroup[], change: Partial<SourceAudit> = {}): SourceAudit {
  const objects = groups.reduce((sum, group) => sum + group.objects, 0);
  return {
    source: {
      kind: "etcd",
      clusterId: "abc",
      endpoints: [],
      revision: 9,
      readAt: "2030-01-01T00:00:00.000Z",
      restarts: 0,
      apiServers: 3,
    },
    prefix: "/registry/",
    objects: objects + 50,
    resources: [
      { resource: "pods", objects: 50, groups: [plain(50)] },
      { resource: "secrets", objects, groups: [...groups] },
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
    ...change,
  };
}

describe("the sentence", () => {
  test.each<[string, readonly StoredGroup[], string, string | undefined]>([
    [
      "all is well",
      [ours(3, 73)],
      "All 73 objects (secrets) are encrypted under version 3 of the key.",
      undefined,
    ],
    [
      "plaintext is left",
      [ours(3, 32), plain(41)],
      "Of 73 objects (secrets), 41 are in plaintext (56.2 %).",
      "run `bao-kms-provider migrate`",
    ],
    [
      "an older version is left",
      [ours(3, 999), ours(2, 1)],
      "Of 1,000 objects (secrets), 1 is under an older version than 3 (0.1 %).",
      "run `bao-kms-provider migrate`",
    ],
    [
      "nothing is encrypted yet",
      [plain(4)],
      "Of 4 objects (secrets), 4 are in plaintext (100.0 %).",
      "put this provider first in the EncryptionConfiguration, then run `bao-kms-provider migrate`",
    ],
    [
      "damage and another provider",
      [
        ours(3, 7),
        { kind: "damaged", provider: "bao", objects: 1 },
        { kind: "kms_v1", provider: "old", objects: 2 },
      ],
      "Of 10 objects (secrets), 2 are under another provider (20.0 %), 1 in an envelope that is damaged or foreign (10.0 %).",
      "find the damaged ones with `bao-kms-provider audit --list stale`, then run `bao-kms-provider migrate`",
    ],
  ])("%s", (_, groups, sentence, next) => {
    const verdict = verdictOf(audit(groups));
    expect(verdict).toMatchObject({ sentence, isGood: next === undefined });
    expect(verdict.next).toBe(next);
  });

  test("no object proves nothing", () => {
    expect(verdictOf(audit([], { resources: [], objects: 0 }))).toMatchObject({ isGood: false });
    expect(verdictOf(audit([])).sentence).toContain("No Secret is stored under /registry/");
  });

  test("a resource counts once an object of it is ours; pods in plaintext do not", () => {
    const resources = [
      { resource: "configmaps", objects: 3, groups: [ours(3, 1), plain(2)] },
      { resource: "pods", objects: 50, groups: [plain(50)] },
      { resource: "secrets", objects: 1, groups: [ours(3, 1)] },
    ];
    expect(verdictOf(audit([ours(3, 2)], { resources })).sentence).toBe(
      "Of 4 objects (configmaps, secrets), 2 are in plaintext (50.0 %).",
    );
  });
});

test("three resources are named, and how many more there are", () => {
  const sentence = (names: readonly string[]): string =>
    verdictOf(
      audit([], {
        keyIds: [],
        resources: names.map((resource) => ({ resource, objects: 1, groups: [ours(3, 1)] })),
      }),
    ).sentence;
  expect(sentence(["a", "b", "c"])).toContain("(a, b, c)");
  expect(sentence(["a", "b", "c", "d", "e"])).toContain("(a, b, c and 2 more)");
});

test("damage alone is looked at, and not migrated", () => {
  const damaged: StoredGroup = { kind: "damaged", provider: "bao", objects: 1 };
  expect(verdictOf(audit([damaged])).next).toBe(
    "find the damaged ones with `bao-kms-provider audit --list stale`",
  );
});

describe("what a cold start costs", () => {
  test("as many Decrypts as there are seeds, and what a rewrite saves", () => {
    expect(verdictOf(audit([ours(3, 9)], { seeds: 21 })).coldStart).toContain("costs 21 Decrypts");
    expect(verdictOf(audit([ours(3, 9)], { seeds: 21 })).coldStart).toContain("about 3");
    expect(verdictOf(audit([ours(3, 9)], { seeds: 3 })).coldStart).not.toContain("rewrite");
    expect(verdictOf(audit([ours(3, 9)], { seeds: 0 })).coldStart).toBeUndefined();
    expect(verdictOf(audit([ours(3, 9)])).coldStart).toBeUndefined();
  });

  test("objects under one seed count once; a reset forgets them", () => {
    const counts = tally({ prefix: "/registry/", knownKeyIds: new Map(), nowUnixMs: 0 });
    const add = (name: string, version: number): void =>
      counts.add({
        key: Buffer.from(`/registry/secrets/ns/${name}`),
        value: ourStoredValue(TEST_IDENTITY, { version, createdAtUnix: 1_700_000_000 }),
        modRevision: 1,
      });
    add("a", 1);
    add("b", 1);
    add("c", 2);
    expect(counts.result().seeds).toBe(2);
    counts.reset();
    expect(counts.result().seeds).toBe(0);
  });
});
