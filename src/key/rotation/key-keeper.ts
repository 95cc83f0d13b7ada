/**
 * The one owner of the live key and its registry.
 *
 * @module Takes what was learned and makes it so: durable first, then visible, one change at a time. It asks OpenBao for
 * nothing but markers; when to probe is key-state.ts, what a probe changes is observe.ts.
 */
import type { Clock } from "../../base/clock.ts";
import { ProviderError } from "../../base/error-class.ts";
import type { KeyMetadata } from "../../openbao/transit/key-metadata.ts";
import type { KeyNames } from "../../openbao/transit/key-profile.ts";
import { type ConfigIdentity, fingerprint, identityHashes } from "../identity/fingerprint.ts";
import type { KeyVersion } from "../identity/key-scope.ts";
import { firstContent, withActiveMarker, withPromoted, withSeen } from "../registry/changes.ts";
import type { RegistryError } from "../registry/errors.ts";
import type { RegistryStore } from "../registry/file-store.ts";
import type { StoredRecord } from "../registry/read-state.ts";
import { activeVersion, type RegistryContent, versionOf } from "../registry/record.ts";
import { assess } from "./assess.ts";
import { FINDINGS } from "./finding.ts";
import { firstVersion } from "./bootstrap.ts";
import { guardedStore } from "./guarded-store.ts";
import { inTurnQueue } from "./in-turn.ts";
import {
  changeEvents,
  errorFields,
  findingEvents,
  type KeyEvent,
  type KeyEventFields,
  keyFields,
} from "./key-events.ts";
import { handleMaker } from "./key-handles.ts";
import type { LiveKey, LiveState, StatusPolicy } from "./key-status.ts";
import { makeMarker } from "./marker.ts";
import { type Moment, NO_SIGHTINGS, observe, observeMarker, type ProbeAnswer } from "./sightings.ts";
import type { MarkerCalls } from "./ports.ts";

export interface KeyKeeperOptions {
  readonly store: RegistryStore;
  readonly statePath: string;
  readonly identity: ConfigIdentity;
  readonly pluginVersion: string;
  readonly calls: MarkerCalls;
  readonly clock: Clock;
  readonly policy: StatusPolicy;
  readonly onEvent: (event: KeyEvent) => void;
}

export interface KeyKeeper {
  /** The present snapshot; changes only as a whole. */
  state(): LiveState;
  /** @throws RegistryError with a refusal code. */
  load(): Promise<"loaded" | "missing">;
  /**
   * Records what a probe saw; loads or makes the registry when there is none, promotes a version that is due.
   * @throws ProviderError when there is no registry and none can be made.
   */
  learn(answer: ProbeAnswer, at: Moment, signal: AbortSignal): Promise<void>;
  /** Records versions that a Decrypt asked for; never counts as an observation. */
  learnVersions(key: KeyMetadata, at: Moment, signal: AbortSignal): Promise<void>;
  /** The marker of the active version was decrypted, or refused. */
  learnMarker(held: boolean): void;
  /** Keeps a marker for an active version that has none. */
  keepMarker(marker: string, signal: AbortSignal): Promise<void>;
  probeFailed(kind: "failure" | "deepFailure", error: ProviderError): void;
  deepProbeHeld(): void;
}

/** What became of a change: a new snapshot, or why there is none. */
interface KeyChange {
  readonly key?: LiveKey;
  readonly problem?: RegistryError;
}

export function keyKeeper(options: KeyKeeperOptions): KeyKeeper {
  const { store, statePath, identity, calls, policy } = options;
  const { handleOf, tableOf } = handleMaker(identity, options.pluginVersion);
  let live: LiveState = { sightings: NO_SIGHTINGS };
  const guarded = guardedStore(store);
  const inTurn = inTurnQueue();
  const emit = (name: KeyEvent["name"], level: KeyEvent["level"], fields: KeyEventFields): void =>
    options.onEvent({ name, level, fields });

  const keyOf = (stored: StoredRecord, unrecorded: readonly KeyVersion[]): LiveKey => {
    const rest = unrecorded.filter((each) => versionOf(stored.record, each.version) === undefined);
    const table = tableOf(stored.record, rest, live.key?.table ?? new Map());
    const active = handleOf(activeVersion(stored.record));
    return { stored, table, active: table.get(active.keyId)?.handle ?? active, unrecorded: rest };
  };
  const show = (stored: StoredRecord): LiveKey => {
    const key = keyOf(stored, live.key?.unrecorded ?? []);
    live = { ...live, key };
    return key;
  };

  const load = async (): Promise<"loaded" | "missing"> => {
    const found = await store.load();
    if (found.kind === "missing") {
      return "missing";
    }
    const key = show(found.stored);
    emit("registry.loaded", "info", { generation: found.stored.record.generation, ...keyFields(key.active) });
    return "loaded";
  };

  /** Adopts what a command wrote; a file that does not descend from ours is reported, and ours stays in use. */
  const follow = async (
    key: LiveKey,
    signal: AbortSignal,
  ): Promise<KeyChange & { readonly key: LiveKey }> => {
    const { stored, writtenAgain, problem } = await guarded.follow(key.stored, signal);
    if (problem !== undefined || stored === key.stored) {
      return problem === undefined ? { key } : { key, problem };
    }
    if (writtenAgain !== undefined) {
      emit("registry.write", "warn", { status: "ok", ...errorFields(writtenAgain) });
    } else if (stored.hash !== key.stored.hash) {
      emit("registry.adopted", "info", { generation: stored.record.generation });
    }
    if (JSON.stringify(stored.record.observation) !== JSON.stringify(key.stored.record.observation)) {
      // Somebody else counted: our own last look at the version is no longer the one before this.
      const { observedAt: _before, ...sightings } = live.sightings;
      live = { ...live, sightings };
    }
    return { key: show(stored) };
  };

  const write = async (
    base: StoredRecord | undefined,
    content: RegistryContent,
    signal: AbortSignal,
  ): Promise<KeyChange> => {
    const { stored, problem } = await guarded.write(base, content, signal);
    return {
      ...(stored === undefined ? {} : { key: show(stored) }),
      ...(problem === undefined ? {} : { problem }),
    };
  };

  const remember = (problem: RegistryError | undefined): void => {
    const { storeFailure: before, ...rest } = live;
    live = problem === undefined ? rest : { ...rest, storeFailure: problem };
    if (problem !== undefined && problem.code !== before?.code) {
      // That somebody else wrote first is no fault: the next probe follows them and decides anew.
      const level = problem.code === "registry_changed" ? "info" : "error";
      emit("registry.write", level, { status: "error", ...errorFields(problem) });
    } else if (problem === undefined && before !== undefined) {
      emit("registry.write", "info", { status: "ok", code: before.code });
    }
  };

  const bootstrap = async (answer: ProbeAnswer, at: Moment, signal: AbortSignal): Promise<void> => {
    const first = firstVersion(answer, statePath, policy.names);
    const marker = await makeMarker(calls, handleOf(first), signal);
    const content = firstContent(
      identityHashes(identity),
      fingerprint(identity),
      { ...first, marker },
      at.wallMs,
    );
    const { key, problem } = await write(undefined, content, signal);
    remember(problem);
    if (key === undefined) {
      throw problem ?? new TypeError("a write that failed without a reason");
    }
    live = { ...live, sightings: { ...live.sightings, soundAt: at } };
    emit("registry.created", "info", { generation: 1, ...keyFields(key.active) });
  };

  const promote = async (
    key: LiveKey,
    due: KeyVersion,
    signal: AbortSignal,
  ): Promise<RegistryError | undefined> => {
    let marker: string;
    try {
      marker = await makeMarker(calls, handleOf(due), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ProviderError)) {
        throw error;
      }
      // A standby that lags may not have the version yet: it stays pending until its marker has decrypted.
      emit("rotation.pending", "warn", { transitKeyVersion: due.version, ...errorFields(error) });
      return undefined;
    }
    const content = withPromoted(key.stored.record, { ...due, marker }, options.clock.wallMs());
    const written = await write(key.stored, content, signal);
    if (written.key !== undefined) {
      emit("rotation.promoted", "info", {
        generation: written.key.stored.record.generation,
        ...keyFields(written.key.active),
      });
    }
    return written.problem;
  };

  const apply = async (
    start: LiveKey,
    answer: ProbeAnswer,
    at: Moment,
    signal: AbortSignal,
  ): Promise<void> => {
    const followed = await follow(start, signal);
    const { record } = followed.key.stored;
    const before = live;
    const step = observe(record, live.sightings, answer, at, policy);
    live = { ...live, sightings: step.sightings };
    findingEvents(before, live, policy).forEach(options.onEvent);
    let { problem } = followed;
    let { key } = followed;
    if (problem === undefined && step.content !== record) {
      const written = await write(key.stored, step.content, signal);
      problem = written.problem;
      if (written.key === undefined) {
        showUnrecorded(key, step.content);
      } else {
        key = written.key;
        changeEvents(record, step.content, handleOf).forEach(options.onEvent);
      }
    }
    if (problem === undefined && step.due !== undefined) {
      problem = await promote(key, step.due, signal);
    }
    remember(problem);
  };

  /** What could not be written decrypts all the same, from memory. */
  const showUnrecorded = (key: LiveKey, content: RegistryContent): void => {
    const { record } = key.stored;
    const unrecorded = content.versions.filter(
      (each) => each.state !== "rejected" && versionOf(record, each.version) === undefined,
    );
    live = { ...live, key: keyOf(key.stored, unrecorded) };
  };

  return {
    state: () => live,
    load: () => inTurn(load),
    learn: (answer, at, signal) =>
      inTurn(async () => {
        const { failure: _answered, ...rest } = live;
        live = rest;
        if (live.key === undefined && (await load()) === "missing") {
          await bootstrap(answer, at, signal);
        } else if (live.key !== undefined) {
          await apply(live.key, answer, at, signal);
        }
      }),
    learnVersions: (metadata, at, signal) =>
      inTurn(async () => {
        if (live.key === undefined) {
          return;
        }
        const followed = await follow(live.key, signal);
        const { record } = followed.key.stored;
        const unseen = metadata.versions.filter((each) => versionOf(record, each.version) === undefined);
        if (unseen.length === 0 || !isOfOneHistory(record, metadata, policy.names)) {
          return;
        }
        const content = withSeen(record, unseen, at.wallMs);
        showUnrecorded(followed.key, content);
        const written =
          followed.problem === undefined ? await write(followed.key.stored, content, signal) : followed;
        remember(written.problem);
        changeEvents(record, content, handleOf).forEach(options.onEvent);
      }),
    learnMarker: (held) => {
      const before = live;
      live = {
        ...live,
        sightings: observeMarker(live.sightings, held, live.key?.active.version ?? 0, policy),
      };
      findingEvents(before, live, policy).forEach(options.onEvent);
    },
    keepMarker: (marker, signal) =>
      inTurn(async () => {
        if (live.key !== undefined && live.storeFailure === undefined) {
          const { problem } = await write(
            live.key.stored,
            withActiveMarker(live.key.stored.record, marker),
            signal,
          );
          remember(problem);
        }
      }),
    probeFailed: (kind, error) => {
      live = { ...live, [kind]: { error, count: 1 + (live[kind]?.count ?? 0) } };
    },
    deepProbeHeld: () => {
      const { deepFailure: _before, ...rest } = live;
      live = rest;
    },
  };
}

/** Metadata that contradicts the registry, or goes back behind it, adds nothing to it. */
function isOfOneHistory(content: RegistryContent, key: KeyMetadata, names: KeyNames): boolean {
  const answer = { kind: "key", key, upsertDisabled: true } as const;
  return assess(content, answer, names).every(({ code }) => FINDINGS[code].effect === "hold");
}
