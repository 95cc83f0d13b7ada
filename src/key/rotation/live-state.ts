/** @module The live key at one moment, as an immutable value, and every step from one such value to the next. Pure. */
import type { ProviderError } from "../../base/error-class.ts";
import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import type { RegistryError } from "../registry/errors.ts";
import type { StoredRecord } from "../registry/read-state.ts";
import { activeVersion, type RegistryContent, versionOf } from "../registry/record.ts";
import type { BootstrapStep, Candidate } from "./bootstrap.ts";
import type { HandleMaker, KeyHandle, KeyTable } from "./key-handles.ts";
import { NO_HISTORY, type ProbeHistory } from "./probe-history.ts";

export interface LiveKey {
  readonly stored: StoredRecord;
  readonly active: KeyHandle;
  readonly table: KeyTable;
  /** Seen, but not on disk: it could not be written. They decrypt all the same. */
  readonly unrecorded: readonly KeyVersion[];
}

interface ProbeFailure {
  readonly error: ProviderError;
  readonly count: number;
}

/** `metadata`: reads the key's metadata. `deep`: encrypts and decrypts too. */
export type ProbeKind = "metadata" | "deep";

export interface LiveState {
  /** Why the last probe of each kind failed, and how many of them in succession. */
  readonly failures: Partial<Readonly<Record<ProbeKind, ProbeFailure>>>;
  readonly key?: LiveKey;
  /** Only without `key`: the versions that OpenBao shows, for Decrypt, and what the probes agree on. */
  readonly observing?: { readonly table: KeyTable; readonly candidate: Candidate | undefined };
  readonly history: ProbeHistory;
  /** Why the state directory could not be read or written the last time; nothing is promoted meanwhile. */
  readonly storeFailure?: RegistryError;
}

export const INITIAL_STATE: LiveState = { history: NO_HISTORY, failures: {} };

/** With what is on disk. Versions of `unrecorded` that the disk does not have decrypt from memory. */
export function withStored(
  state: LiveState,
  stored: StoredRecord,
  { handleOf, tableOf }: HandleMaker,
  unrecorded: readonly KeyVersion[] = state.key?.unrecorded ?? [],
): LiveState & { readonly key: LiveKey } {
  const { observing: _before, ...before } = state;
  const rest = unrecorded.filter((each) => versionOf(stored.record, each.version) === undefined);
  const table = tableOf(stored.record, rest, state.key?.table ?? new Map());
  const active = handleOf(activeVersion(stored.record));
  return {
    ...before,
    key: { stored, table, active: table.get(active.keyId)?.handle ?? active, unrecorded: rest },
  };
}

/** A node without a registry that observes the key decrypts with every version that OpenBao shows. */
export function withObserving(
  { observing: before, ...state }: LiveState,
  { candidate }: Extract<BootstrapStep, { kind: "wait" }>,
  shown: readonly KeyVersion[],
  { tableOf }: HandleMaker,
): LiveState {
  const table = tableOf({ versions: [] }, shown, before?.table ?? new Map());
  return { ...state, observing: { table, candidate } };
}

export function withUnrecorded(
  state: LiveState,
  { stored }: LiveKey,
  content: RegistryContent,
  handles: HandleMaker,
): LiveState {
  const unrecorded = content.versions.filter((each) => each.state !== "rejected");
  return withStored(state, stored, handles, unrecorded);
}

/** Another process has counted an observation since, so the time since our own last look proves nothing. */
export function withoutOwnObservation({ history, ...state }: LiveState): LiveState {
  const { observedAt: _before, ...rest } = history;
  return { ...state, history: rest };
}

export function withStoreFailure(
  { storeFailure: _before, ...state }: LiveState,
  failure: RegistryError | undefined,
): LiveState {
  return failure === undefined ? state : { ...state, storeFailure: failure };
}

export function withProbeFailure(state: LiveState, kind: ProbeKind, error: ProviderError): LiveState {
  const failure = { error, count: 1 + (state.failures[kind]?.count ?? 0) };
  return { ...state, failures: { ...state.failures, [kind]: failure } };
}

export function withoutProbeFailure(state: LiveState, kind: ProbeKind): LiveState {
  const { [kind]: _before, ...failures } = state.failures;
  return { ...state, failures };
}
