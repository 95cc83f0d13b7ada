/** @module Counts stored objects by resource and by the key that each needs: one number per group, and a bounded number of groups. */

import { deriveKeyId } from "../key/identity/key-id.ts";
import type { KeyScope } from "../key/identity/key-scope.ts";
import type { KeyVersion } from "../openbao/transit/key-metadata.ts";
import { auditError } from "./errors.ts";
import {
  type KeyIdCount,
  type ObjectGroup,
  type SourceAudit,
  type StoredGroup,
  totalOf,
} from "./evidence.ts";
import type { EntrySink } from "./reader/record.ts";
import { isApiServerLease, isLiveLease } from "./stored/api-server-lease.ts";
import { objectName } from "./stored/object-name.ts";
import { classifyStoredValue, type StoredValue } from "./stored/stored-value.ts";

const MAX_GROUPS = 20_000;
/** kube-apiserver makes a few seeds a day; more than this are counted as this many. */
const MAX_SEEDS = 100_000;

/** Transit's number of each key_id that registry or live metadata know. */
type KnownKeyIds = ReadonlyMap<string, number>;

export interface ListedObject {
  /** In etcd, prefix included. */
  readonly key: string;
  readonly resource: string;
  /** Namespace and name, or the name alone. */
  readonly path: string;
  readonly modRevision: number;
  readonly group: ObjectGroup;
}

export type Tally = ReturnType<typeof tally>;

export interface TallyOptions {
  /** Under which objects lie, with its closing slash. */
  readonly prefix: string;
  readonly knownKeyIds: KnownKeyIds;
  /** Against which Leases are held. */
  readonly nowUnixMs: number;
  /** Told of each object, names only; a reset voids what it was told. */
  readonly onObject?: ((object: ListedObject) => void) | undefined;
  readonly onReset?: (() => void) | undefined;
}

interface Count {
  readonly resource: string;
  readonly group: ObjectGroup;
  objects: number;
}

/** Throws AuditError `too_many_groups` from `add`. */
export function tally({ prefix, knownKeyIds, nowUnixMs, onObject, onReset }: TallyOptions) {
  const prefixBytes = Buffer.byteLength(prefix);
  const counts = new Map<string, Count>();
  const seeds = distinctSeeds();
  let apiServers = 0;
  const sink: EntrySink = {
    reset: () => {
      counts.clear();
      seeds.clear();
      apiServers = 0;
      onReset?.();
    },
    add: ({ key, value, modRevision }) => {
      const rest = Buffer.from(key.buffer, key.byteOffset + prefixBytes, key.length - prefixBytes).toString();
      const { resource, path } = objectName(rest);
      const group = groupOf(classifyStoredValue(value, seeds.add), knownKeyIds);
      const name = `${resource}\0${Object.values(group).join("\0")}`;
      const count = counts.get(name);
      if (count !== undefined) {
        count.objects += 1;
      } else if (counts.size < MAX_GROUPS) {
        counts.set(name, { resource, group, objects: 1 });
      } else {
        throw auditError("too_many_groups", {
          message: `the store has more than ${MAX_GROUPS} different combinations of resource and key`,
          advice: "audit a part of it with --etcd-prefix",
        });
      }
      if (isApiServerLease(resource, path) && isLiveLease(value, nowUnixMs)) {
        apiServers += 1;
      }
      onObject?.({ key: prefix + rest, resource, path, modRevision, group });
    },
  };
  return {
    ...sink,
    result: () => ({ ...summary([...counts.values()]), seeds: seeds.count() }),
    /** API servers whose Lease had not expired when the read began. */
    apiServers: () => apiServers,
  };
}

/** Distinct seeds, of which a digest each is kept. */
export function distinctSeeds() {
  const digests = new Set<string>();
  return {
    add: (seed: Uint8Array): void => {
      if (digests.size < MAX_SEEDS) {
        digests.add(Bun.SHA256.hash(seed, "base64"));
      }
    },
    count: (): number => digests.size,
    clear: (): void => digests.clear(),
  };
}

/** Ties a key_id to its version. An annotation that contradicts what the key_id derives from was not made by us. */
function groupOf(value: StoredValue, knownKeyIds: KnownKeyIds): ObjectGroup {
  if (value.kind !== "ours") {
    return value;
  }
  const { kind, provider, keyId } = value;
  const stated = Number(value.statedVersion);
  const known = knownKeyIds.get(keyId);
  if (known !== undefined && known !== stated) {
    return { kind: "damaged", provider };
  }
  return { kind, provider, keyId, version: stated, versionFrom: known === undefined ? "stated" : "derived" };
}

function summary(counts: readonly Count[]): Pick<SourceAudit, "objects" | "resources" | "keyIds"> {
  const resources = new Map<string, StoredGroup[]>();
  const keyIds = new Map<string, KeyIdCount>();
  for (const { resource, group, objects } of counts) {
    const groups = resources.get(resource) ?? [];
    resources.set(resource, [...groups, { ...group, objects }]);
    if (group.kind === "ours") {
      const { keyId, version, versionFrom } = group;
      const before = keyIds.get(keyId)?.objects ?? 0;
      keyIds.set(keyId, { keyId, version, versionFrom, objects: before + objects });
    }
  }
  return {
    objects: totalOf(counts),
    resources: [...resources.keys()].sort().map((resource) => {
      const groups = resources.get(resource) ?? [];
      return { resource, objects: totalOf(groups), groups: groups.sort(byKindAndVersion) };
    }),
    keyIds: [...keyIds.keys()]
      .sort()
      .flatMap((keyId) => keyIds.get(keyId) ?? [])
      .sort((a, b) => b.version - a.version),
  };
}

const KIND_ORDER: readonly StoredGroup["kind"][] = [
  "ours",
  "kms_v2_other",
  "kms_v1",
  "local_key",
  "plaintext",
  "damaged",
  "unknown",
];

/** Newest version first; among equals the larger group. */
function byKindAndVersion(a: StoredGroup, b: StoredGroup): number {
  const versionOf = (group: StoredGroup): number => (group.kind === "ours" ? group.version : 0);
  return (
    KIND_ORDER.indexOf(a.kind) - KIND_ORDER.indexOf(b.kind) ||
    versionOf(b) - versionOf(a) ||
    b.objects - a.objects
  );
}

/** Transit's number by key_id. Two versions with one number and different creation times have different key_ids. */
export function keyIdsOf(scope: KeyScope, versions: readonly KeyVersion[]): KnownKeyIds {
  return new Map(versions.map((version) => [deriveKeyId(scope, version), version.version]));
}
