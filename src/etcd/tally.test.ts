import { describe, expect, test } from "bun:test";
import { ourStoredValue } from "../../test/fakes/etcd/envelope-bytes.ts";
import { leaseBytes } from "../../test/fakes/etcd/lease-bytes.ts";
import { TEST_IDENTITY } from "../../test/fakes/key-scope.ts";
import { deriveKeyId } from "../key/identity/key-id.ts";
import type { KeyVersion } from "../openbao/transit/key-metadata.ts";
import { AuditError } from "./errors.ts";
import { distinctSeeds, tally } from "./tally.ts";

const PREFIX = "/registry/";
const count = () => tally({ prefix: PREFIX, knownKeyIds: new Map(), nowUnixMs: 0 });
/** An object of a resource of its own, in plaintext. */
const entry = (n: number) => ({
  key: Buffer.from(`${PREFIX}example.com/kind${n}/ns/name`),
  value: Buffer.from("k8s\0x"),
  modRevision: 1,
});

describe("the number of groups", () => {
  const MAX_GROUPS = 20_000;

  test("is bounded; one more object of a group that is known still counts", () => {
    const full = count();
    for (let n = 0; n < MAX_GROUPS; n += 1) {
      full.add(entry(n));
    }
    full.add(entry(0));
    expect(full.result().objects).toBe(MAX_GROUPS + 1);
    expect(() => full.add(entry(MAX_GROUPS))).toThrow(AuditError);
  });

  test("begins again with a reset, which is reported", () => {
    let resets = 0;
    const tallied = tally({
      prefix: PREFIX,
      knownKeyIds: new Map(),
      nowUnixMs: 0,
      onReset: () => {
        resets += 1;
      },
    });
    tallied.add(entry(1));
    tallied.reset();
    expect(tallied.result()).toEqual({ objects: 0, resources: [], keyIds: [], seeds: 0 });
    expect(resets).toBe(1);
  });
});

const named = (name: string, value: Uint8Array) => ({
  key: Buffer.from(PREFIX + name),
  value: Buffer.from(value),
  modRevision: 1,
});
const version = (n: number, createdAtUnix = 1_700_000_000): KeyVersion => ({ version: n, createdAtUnix });
const ours = (n: number, createdAtUnix?: number) => ourStoredValue(TEST_IDENTITY, version(n, createdAtUnix));

test("distinct seeds are counted up to 100,000", () => {
  const seeds = distinctSeeds();
  const seed = new Uint32Array(1);
  const bytes = new Uint8Array(seed.buffer);
  for (seed[0] = 0; seed[0] <= 100_000; seed[0] += 1) {
    seeds.add(bytes);
  }
  expect(seeds.count()).toBe(100_000);
  seeds.clear();
  seeds.add(bytes);
  seeds.add(bytes);
  expect(seeds.count()).toBe(1);
});

test("groups are ordered by kind, then newest version, then size; resources and key_ids by name", () => {
  const tallied = count();
  const add = (resource: string, times: number, value: Uint8Array): void => {
    for (let n = 0; n < times; n += 1) {
      tallied.add(named(`${resource}/ns/n${n}`, value));
    }
  };
  const text = (marked: string): Uint8Array => Buffer.from(marked);
  add("secrets", 1, text("k8s:enc:new:v1:x"));
  add("secrets", 9, text("plain"));
  add("secrets", 1, text("k8s:enc:aescbc:v1:small:x"));
  add("secrets", 2, text("k8s:enc:aescbc:v1:large:x"));
  add("secrets", 5, text("k8s:enc:kms:v2:p:damaged"));
  add("secrets", 3, text("k8s:enc:kms:v1:old:x"));
  add("secrets", 8, ours(1));
  add("secrets", 2, ours(2, 1_700_000_005));
  add("secrets", 1, ours(3));
  add("secrets", 4, ours(2));
  add("configmaps", 1, ours(1));
  const { resources, keyIds } = tallied.result();
  expect(resources.map(({ resource }) => resource)).toEqual(["configmaps", "secrets"]);
  expect(
    resources[1]?.groups.map((group) => [
      group.kind,
      group.kind === "ours" ? group.version : undefined,
      group.objects,
    ]),
  ).toEqual([
    ["ours", 3, 1],
    ["ours", 2, 4],
    ["ours", 2, 2],
    ["ours", 1, 8],
    ["kms_v1", undefined, 3],
    ["local_key", undefined, 2],
    ["local_key", undefined, 1],
    ["plaintext", undefined, 9],
    ["damaged", undefined, 5],
    ["unknown", undefined, 1],
  ]);
  const keyIdOf = (each: KeyVersion): string => deriveKeyId(TEST_IDENTITY, each);
  const twice = [
    { keyId: keyIdOf(version(2)), version: 2, objects: 4 },
    { keyId: keyIdOf(version(2, 1_700_000_005)), version: 2, objects: 2 },
  ].sort((a, b) => (a.keyId < b.keyId ? -1 : 1));
  expect(keyIds.map(({ keyId, version: number, objects }) => ({ keyId, version: number, objects }))).toEqual([
    { keyId: keyIdOf(version(3)), version: 3, objects: 1 },
    ...twice,
    { keyId: keyIdOf(version(1)), version: 1, objects: 9 },
  ]);
});

describe("API servers", () => {
  const UNREADABLE = Buffer.from("k8s\0");
  /** Renewed at 1 s, for 0 s. */
  const EXPIRED = leaseBytes({ durationSeconds: 0, renewedSeconds: 1 });

  test("are Leases in kube-system that have not expired", () => {
    const tallied = tally({ prefix: PREFIX, knownKeyIds: new Map(), nowUnixMs: 2000 });
    tallied.add(named("leases/kube-system/apiserver-a", UNREADABLE));
    tallied.add(named("leases/kube-system/apiserver-b", EXPIRED));
    tallied.add(named("leases/kube-node-lease/n", UNREADABLE));
    tallied.add(named("secrets/kube-system/apiserver-a", UNREADABLE));
    expect(tallied.apiServers()).toBe(1);
    tallied.reset();
    expect(tallied.apiServers()).toBe(0);
  });
});
