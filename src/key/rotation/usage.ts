/** @module What plans know of the stored objects and of the other nodes, and what blocks a plan. */
export interface Usage {
  /** For messages: the etcd cluster, or the snapshot's file. */
  readonly name: string;
  /** A running etcd, or a snapshot that is kept; `bare` is a database file of which nothing is proven. */
  readonly kind: "live" | "snapshot" | "bare";
  /** When the state that was read existed or, for a snapshot, was read. */
  readonly readAtUnixMs: number;
  /** The configuration with which key_ids were told apart; absent when there was none. */
  readonly fingerprint: string | undefined;
  readonly objectsByKeyId: ReadonlyMap<string, number>;
  /** The Transit version that the objects' own annotations state, by key_id. */
  readonly statedVersions: ReadonlyMap<string, number>;
  /** Envelopes that name a KMS v2 provider and cannot be read, or contradict themselves. */
  readonly damaged: number;
  /** API servers with a Lease that has not expired; only a running etcd tells. */
  readonly liveApiServers: number;
}

export interface NodeReport {
  readonly host: string;
  readonly seenAtUnixMs: number;
  readonly keyId: string;
  readonly healthy: boolean;
  /** Versions that the node's registry has as removed; absent when the report does not say. */
  readonly removedVersions: readonly number[] | undefined;
}

export interface Blocker {
  readonly code: string;
  readonly message: string;
  readonly advice: string;
  /** Whether a person may continue in spite of it, with a recorded reason. */
  readonly overridable: boolean;
}

export function blocker(code: string, message: string, advice: string): Blocker {
  return { code, message, advice, overridable: false };
}

export function overridable(code: string, message: string, advice: string): Blocker {
  return { code, message, advice, overridable: true };
}

export function presentBlockers(...rules: readonly (Blocker | false)[]): readonly Blocker[] {
  return rules.filter((rule) => rule !== false);
}
