/** @module The one owner of the live key and its registry: durable first, then visible, one change at a time. */
import type { Clock } from "../../base/clock.ts";
import { ProviderError } from "../../base/error-class.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import type { KeyMetadata } from "../../openbao/transit/key-metadata.ts";
import type { KeyNames } from "../../openbao/transit/key-profile.ts";
import { type ConfigIdentity, fingerprint, identityHashes } from "../identity/fingerprint.ts";
import type { KeyVersion } from "../identity/key-scope.ts";
import {
  firstContent,
  withActiveMarker,
  withObservedBeginning,
  withPromoted,
  withSeen,
} from "../registry/changes.ts";
import { isRegistryError, type RegistryError } from "../registry/errors.ts";
import type { RegistryStore } from "../registry/file-store.ts";
import type { StoredRecord } from "../registry/read-state.ts";
import { originOf, type RegistryContent, versionOf } from "../registry/record.ts";
import { assess } from "./assess.ts";
import { type BootstrapPolicy, beginning } from "./bootstrap.ts";
import { FINDINGS } from "./finding.ts";
import {
  changeEvents,
  errorFields,
  findingEvents,
  type KeyEvent,
  type KeyEventFields,
  keyFields,
} from "./key-events.ts";
import { type HandleMaker, handleMaker } from "./key-handles.ts";
import type { StatusPolicy } from "./key-status.ts";
import {
  INITIAL_STATE,
  type LiveKey,
  type LiveState,
  type ProbeKind,
  withObserving,
  withoutOwnObservation,
  withoutProbeFailure,
  withProbeFailure,
  withStored,
  withStoreFailure,
  withUnrecorded,
} from "./live-state.ts";
import { makeMarker } from "./marker.ts";
import { observe } from "./promotion.ts";
import { type Moment, observeMarker, type ProbeAnswer, type Sightings } from "./sightings.ts";

export interface KeyKeeperOptions {
  readonly store: RegistryStore;
  readonly statePath: string;
  readonly identity: ConfigIdentity;
  readonly pluginVersion: string;
  readonly transit: Pick<TransitClient, "encrypt" | "decrypt">;
  readonly clock: Clock;
  readonly policy: StatusPolicy & BootstrapPolicy;
  readonly onEvent: (event: KeyEvent) => void;
}

/** What became of a change: a new snapshot when it is durable, and what went wrong with the store. */
interface KeyChange {
  readonly key?: LiveKey;
  /** With `key`: its checkpoint could not be written. */
  readonly problem?: RegistryError | undefined;
}

export class KeyKeeper {
  readonly #options: KeyKeeperOptions;
  readonly #handles: HandleMaker;
  #live = INITIAL_STATE;
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(options: KeyKeeperOptions) {
    this.#options = options;
    this.#handles = handleMaker(options.identity, options.pluginVersion);
  }

  /** The present snapshot; changes only as a whole. */
  get state(): LiveState {
    return this.#live;
  }

  /** @throws RegistryError with a refusal code. */
  load(): Promise<"loaded" | "missing"> {
    return this.#inTurn(() => this.#load());
  }

  /**
   * Records what a probe saw; loads or makes the registry when there is none, promotes a version that is due.
   * @throws ProviderError when there is no registry and none can be made.
   */
  learn(answer: ProbeAnswer, at: Moment, signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      this.#live = withoutProbeFailure(this.#live, "failure");
      if (this.#live.key === undefined && (await this.#load()) === "missing") {
        await this.#bootstrap(answer, at, signal);
      } else if (this.#live.key !== undefined) {
        await this.#apply(this.#live.key, answer, at, signal);
      }
    });
  }

  /** Records versions that a Decrypt asked for; never counts as an observation. */
  learnVersions(metadata: KeyMetadata, at: Moment, signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#live.key === undefined) {
        return;
      }
      const { key, problem } = await this.#follow(this.#live.key, signal);
      const { record } = key.stored;
      const unseen = metadata.versions.filter((each) => versionOf(record, each.version) === undefined);
      if (unseen.length === 0 || !isOfOneHistory(record, metadata, this.#options.policy.names)) {
        return;
      }
      const content = withSeen(record, unseen, at.wallMs);
      this.#live = withUnrecorded(this.#live, key, content, this.#handles);
      const written = problem === undefined ? await this.#write(key.stored, content, signal) : { problem };
      this.#remember(written.problem);
      changeEvents(record, content, this.#handles.handleOf).forEach(this.#options.onEvent);
    });
  }

  /** The marker of the active version was decrypted, or refused. */
  learnMarker(held: boolean): void {
    const { key, sightings } = this.#live;
    this.#see(observeMarker(sightings, held, key?.active.version ?? 0, this.#options.policy));
  }

  /** Keeps a marker for an active version that has none. */
  keepMarker(marker: string, signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      const { key, storeFailure } = this.#live;
      if (key !== undefined && storeFailure === undefined) {
        const content = withActiveMarker(key.stored.record, marker);
        this.#remember((await this.#write(key.stored, content, signal)).problem);
      }
    });
  }

  probeFailed(kind: ProbeKind, error: ProviderError): void {
    this.#live = withProbeFailure(this.#live, kind, error);
  }

  deepProbeHeld(): void {
    this.#live = withoutProbeFailure(this.#live, "deepFailure");
  }

  /** One change at a time, in the order in which they were asked for; one that fails does not block the next. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lastChange.then(work, work);
    this.#lastChange = result.catch(() => {});
    return result;
  }

  #emit(name: KeyEvent["name"], level: KeyEvent["level"], fields: KeyEventFields): void {
    this.#options.onEvent({ name, level, fields });
  }

  #show(stored: StoredRecord): LiveKey {
    const shown = withStored(this.#live, stored, this.#handles);
    this.#live = shown;
    return shown.key;
  }

  #see(sightings: Sightings): void {
    const before = this.#live;
    this.#live = { ...before, sightings };
    findingEvents(before, this.#live, this.#options.policy).forEach(this.#options.onEvent);
  }

  async #load(): Promise<"loaded" | "missing"> {
    const found = await this.#options.store.load();
    if (found.kind === "missing") {
      return "missing";
    }
    const { active, stored } = this.#show(found.stored);
    this.#emit("registry.loaded", "info", { generation: stored.record.generation, ...keyFields(active) });
    return "loaded";
  }

  /** Adopts what a command wrote; a file that does not descend from ours is reported, and ours stays in use. */
  async #follow(key: LiveKey, signal: AbortSignal): Promise<KeyChange & { readonly key: LiveKey }> {
    let stored: StoredRecord;
    try {
      stored = await this.#followFile(key.stored, signal);
    } catch (error) {
      return { key, problem: registryProblem(error) };
    }
    if (stored === key.stored) {
      return { key };
    }
    if (stored.hash !== key.stored.hash) {
      this.#emit("registry.adopted", "info", { generation: stored.record.generation });
    }
    if (JSON.stringify(stored.record.observation) !== JSON.stringify(key.stored.record.observation)) {
      this.#live = withoutOwnObservation(this.#live);
    }
    return { key: this.#show(stored) };
  }

  /** A file that was removed while this process knows what was in it is written again. */
  async #followFile(base: StoredRecord, signal: AbortSignal): Promise<StoredRecord> {
    const { store } = this.#options;
    try {
      return await store.follow(base);
    } catch (error) {
      const lost = registryProblem(error);
      if (lost.code !== "registry_lost") {
        throw lost;
      }
      const stored = await store.writeAgain(base, signal);
      this.#emit("registry.write", "warn", { status: "ok", ...errorFields(lost) });
      return stored;
    }
  }

  async #write(
    base: StoredRecord | undefined,
    content: RegistryContent,
    signal: AbortSignal,
  ): Promise<KeyChange> {
    try {
      const { stored, checkpointError } = await this.#options.store.commit(base, content, signal);
      return { key: this.#show(stored), problem: checkpointError };
    } catch (error) {
      return { problem: registryProblem(error) };
    }
  }

  #remember(problem: RegistryError | undefined): void {
    const before = this.#live.storeFailure;
    this.#live = withStoreFailure(this.#live, problem);
    if (problem !== undefined && problem.code !== before?.code) {
      // That another process wrote first is no fault: the next probe follows it and decides anew.
      const level = problem.code === "registry_changed" ? "info" : "error";
      this.#emit("registry.write", level, { status: "error", ...errorFields(problem) });
    } else if (problem === undefined && before !== undefined) {
      this.#emit("registry.write", "info", { status: "ok", code: before.code });
    }
  }

  async #bootstrap(answer: ProbeAnswer, at: Moment, signal: AbortSignal): Promise<void> {
    const { identity, policy, statePath, transit } = this.#options;
    const shown = answer.kind === "key" ? answer.key.versions : [];
    const step = beginning(answer, this.#live.observing?.candidate, statePath, policy);
    if (step.kind === "wait") {
      this.#live =
        policy.missingState === "observe"
          ? withObserving(this.#live, step, shown, this.#handles)
          : this.#live;
      throw step.reason;
    }
    const marker = await makeMarker(transit, this.#handles.handleOf(step.active), signal);
    const first = firstContent(
      identityHashes(identity),
      fingerprint(identity),
      { ...step.active, marker },
      at.wallMs,
    );
    const content = step.observed ? withObservedBeginning(first, shown, at.wallMs) : first;
    const { key, problem } = await this.#write(undefined, content, signal);
    this.#remember(problem);
    if (key === undefined) {
      throw problem ?? new TypeError("a write that failed without a reason");
    }
    this.#live = { ...this.#live, sightings: { ...this.#live.sightings, soundAt: at } };
    this.#emit("registry.created", "info", {
      generation: 1,
      code: originOf(content),
      ...keyFields(key.active),
    });
  }

  async #apply(start: LiveKey, answer: ProbeAnswer, at: Moment, signal: AbortSignal): Promise<void> {
    const { onEvent, policy } = this.#options;
    let { key, problem } = await this.#follow(start, signal);
    const { record } = key.stored;
    const step = observe(record, this.#live.sightings, answer, at, policy);
    this.#see(step.sightings);
    if (problem === undefined && step.content !== record) {
      const written = await this.#write(key.stored, step.content, signal);
      problem = written.problem;
      if (written.key === undefined) {
        this.#live = withUnrecorded(this.#live, key, step.content, this.#handles);
      } else {
        key = written.key;
        changeEvents(record, step.content, this.#handles.handleOf).forEach(onEvent);
      }
    }
    if (problem === undefined && step.due !== undefined) {
      problem = await this.#promote(key, step.due, signal);
    }
    this.#remember(problem);
  }

  async #promote(key: LiveKey, due: KeyVersion, signal: AbortSignal): Promise<RegistryError | undefined> {
    const { clock, transit } = this.#options;
    let marker: string;
    try {
      marker = await makeMarker(transit, this.#handles.handleOf(due), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ProviderError)) {
        throw error;
      }
      // A standby that lags may not have the version yet: it stays pending until its marker has decrypted.
      this.#emit("rotation.pending", "warn", { transitKeyVersion: due.version, ...errorFields(error) });
      return undefined;
    }
    const content = withPromoted(key.stored.record, { ...due, marker }, clock.wallMs());
    const written = await this.#write(key.stored, content, signal);
    if (written.key !== undefined) {
      const { active, stored } = written.key;
      this.#emit("rotation.promoted", "info", { generation: stored.record.generation, ...keyFields(active) });
    }
    return written.problem;
  }
}

/** The store's refusals and failures are values here; everything else is thrown. */
function registryProblem(error: unknown): RegistryError {
  if (!isRegistryError(error)) {
    throw error;
  }
  return error;
}

/** Metadata that contradicts the registry, or goes back behind it, adds nothing to it. */
function isOfOneHistory(content: RegistryContent, key: KeyMetadata, names: KeyNames): boolean {
  const answer = { kind: "key", key, upsertDisabled: true } as const;
  return assess(content, answer, names).every(({ code }) => FINDINGS[code].effect === "hold");
}
