import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { encryptionConfig, type Group } from "../../../test/fakes/encryption-config.ts";
import { groupsFor, providersFor } from "./config.ts";
import { lostReaders } from "./readers.ts";

const secretOf = (seed: string) => createHash("sha256").update(seed).digest("base64");
const aescbc = (...keys: readonly string[]) => ({
  aescbc: { keys: keys.map((text) => ({ name: text.split("/")[0], secret: secretOf(text) })) },
});
const kms = { kms: { apiVersion: "v2", name: "bao", endpoint: "unix:///x" } };
const identity = { identity: {} };

describe("readers that a change loses", () => {
  const lost = (previous: readonly Group[], current: readonly Group[]) =>
    lostReaders(encryptionConfig(...previous), encryptionConfig(...current)).map(
      ({ resource, kind, name, hasOtherSecret }) =>
        `${resource} ${kind} ${name ?? ""}${hasOtherSecret ? " other" : ""}`,
    );

  test.each<readonly [string, readonly Group[], readonly Group[], readonly string[]]>([
    [
      "a second key is none",
      [[["secrets"], aescbc("a"), identity]],
      [[["secrets"], aescbc("b", "a"), identity]],
      [],
    ],
    [
      "keys in two entries are none",
      [[["secrets"], aescbc("a", "b"), identity]],
      [[["secrets"], aescbc("a"), aescbc("b"), identity]],
      [],
    ],
    [
      "a key less",
      [[["secrets"], aescbc("a", "b"), identity]],
      [[["secrets"], aescbc("a"), identity]],
      ["secrets aescbc b"],
    ],
    [
      "a key with another secret",
      [[["secrets"], aescbc("a"), identity]],
      [[["secrets"], aescbc("a/2"), identity]],
      ["secrets aescbc a other"],
    ],
    [
      "a secret with another name",
      [[["secrets"], aescbc("a"), identity]],
      [[["secrets"], { aescbc: { keys: [{ name: "b", secret: secretOf("a") }] } }, identity]],
      ["secrets aescbc a"],
    ],
    [
      "another kind with the same key",
      [[["secrets"], aescbc("a"), identity]],
      [[["secrets"], { aesgcm: aescbc("a").aescbc }, identity]],
      ["secrets aescbc a"],
    ],
    [
      "widened to all without identity",
      [[["secrets"], kms]],
      [[["*.*"], kms]],
      ["*. identity ", "*.* identity "],
    ],
    [
      "widened to another resource without identity",
      [[["secrets"], kms]],
      [[["secrets", "configmaps"], kms]],
      ["configmaps identity "],
    ],
    ["widened with identity", [[["secrets"], kms, identity]], [[["*.*"], kms, identity]], []],
    [
      "all narrowed to the core group",
      [[["*.*"], kms, identity]],
      [[["*."], kms, identity]],
      ["*.* kms bao"],
    ],
    ["taken over by the group's wildcard", [[["secrets"], kms, identity]], [[["*."], kms, identity]], []],
    [
      "taken over by a wildcard with others",
      [[["secrets"], kms, identity]],
      [[["*."], identity]],
      ["secrets kms bao"],
    ],
    [
      "an entry less",
      [
        [["secrets"], kms],
        [["events"], aescbc("a")],
      ],
      [[["secrets"], kms]],
      ["events aescbc a"],
    ],
    [
      "split into two entries",
      [[["secrets"], kms, aescbc("a")]],
      [
        [["secrets"], kms],
        [["secrets"], aescbc("a")],
      ],
      [],
    ],
    [
      "a group of its own before the wildcard",
      [[["*.*"], kms, identity]],
      [
        [["deployments.apps"], identity],
        [["*.*"], kms, identity],
      ],
      ["deployments.apps kms bao"],
    ],
    [
      "KMS v1 to v2 of the same name",
      [[["secrets"], { kms: { name: "bao", endpoint: "unix:///x" } }]],
      [[["secrets"], kms]],
      ["secrets kms bao other"],
    ],
    [
      "another endpoint is none",
      [[["secrets"], kms]],
      [[["secrets"], { kms: { ...kms.kms, endpoint: "unix:///y" } }]],
      [],
    ],
  ])("%s", (_, previous, current, wanted) => {
    expect(lost(previous, current).sort()).toEqual([...wanted].sort());
  });

  test("base64 of one key in two spellings is one secret", () => {
    const spelt = (secret: string) =>
      encryptionConfig([["secrets"], { aescbc: { keys: [{ name: "a", secret }] } }]);
    const secret = secretOf("a");
    expect(lostReaders(spelt(secret), spelt(`${secret.slice(0, 9)}\n${secret.slice(9)}`))).toEqual([]);
  });
});

/** A model with every resource written out: kube-apiserver's table of transformers, and one look-up for each resource. */
const UNIVERSE = [
  "secrets",
  "configmaps",
  "pods",
  "deployments.apps",
  "statefulsets.apps",
  "a.x.io",
  "b.x.io",
  "c.y.io",
];
const NAMES = ["secrets", "configmaps", "deployments.apps", "a.x.io", "*.", "*.apps", "*.x.io", "*.*"];

function model(groups: readonly Group[], resource: string): ReadonlySet<string> {
  const table = new Map<string, unknown[]>();
  for (const [resources, ...providers] of groups) {
    for (const name of resources) {
      table.set(name, [...(table.get(name) ?? []), ...providers]);
    }
  }
  const [, group = ""] = /^[^.]+\.?(.*)$/.exec(resource) ?? [];
  const found = table.get(resource) ?? table.get(`*.${group}`) ?? table.get("*.*") ?? [identity];
  return new Set(found.flatMap((provider) => tokens(provider)));
}

function tokens(provider: unknown): readonly string[] {
  const text = JSON.stringify(provider);
  const keys = [...text.matchAll(/\{"name":"[^}]*\}/g)].map(([match]) => match);
  return text.startsWith('{"aescbc"') ? keys : [text];
}

const group: fc.Arbitrary<Group> = fc
  .tuple(
    fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 3 }),
    fc.constantFrom(aescbc("a"), aescbc("a/2"), identity),
    fc.constantFrom(aescbc("a"), aescbc("b", "a"), identity),
  )
  .map(([resources, first, second]): Group => [resources, first, second]);

const groups = fc.array(group, { minLength: 1, maxLength: 3 }).filter((each) => {
  try {
    encryptionConfig(...each);
    return true;
  } catch {
    return false;
  }
});

test("agree with a model that looks at each resource by itself", () => {
  fc.assert(
    fc.property(groups, groups, (previous, current) => {
      const wanted = UNIVERSE.some((resource) => {
        const now = model(current, resource);
        return [...model(previous, resource)].some((reader) => !now.has(reader));
      });
      const found = lostReaders(encryptionConfig(...previous), encryptionConfig(...current));
      expect(found.length > 0).toBe(wanted);
      for (const resource of UNIVERSE) {
        const before = model(previous, resource);
        const now = model(current, resource);
        const named = found.filter((each) => each.resource === resource).length;
        const isNamed = [...previous, ...current].some(([resources]) => resources.includes(resource));
        if (isNamed) {
          expect(named).toBe([...before].filter((reader) => !now.has(reader)).length);
        }
      }
    }),
    { numRuns: 150 },
  );
}, 60_000);

test("the first of several entries of a resource comes first", () => {
  const both = encryptionConfig([["secrets"], kms], [["secrets", "pods"], identity]);
  expect(providersFor(both, "secrets").map(({ kind }) => kind)).toEqual(["kms", "identity"]);
  expect(groupsFor(both, "secrets")).toHaveLength(2);
  expect(providersFor(both, "pods").map(({ kind }) => kind)).toEqual(["identity"]);
  expect(groupsFor(both, "events")).toEqual([]);
});
