/** @module One object as etcd stores it, and the sink that both readers, snapshot and live cluster, fill. */
/** Views into a buffer that is used again: valid only during the call that hands the entry over. */
interface StoredEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** The revision that wrote the object last: what Kubernetes calls its resourceVersion. */
  readonly modRevision: number;
}

export interface EntrySink {
  /** A read begins; what was added before is void (a live read starts again when its revision was compacted). */
  readonly reset: () => void;
  readonly add: (entry: StoredEntry) => void;
}

/** How far a long read has come. */
export interface ReadProgress {
  readonly phase: "hash" | "check" | "count";
  readonly done: number;
  /** In the unit of `done`: bytes while hashing, records otherwise. 0 while it is not known. */
  readonly total: number;
}

export type OnProgress = (progress: ReadProgress) => void;
