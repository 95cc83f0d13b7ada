/** @module The live key and its registry on disk: what is shown is durable, and why it could not be written is remembered. */
import type { ConfigIdentity } from "../identity/fingerprint.ts";
import { isRegistryError, type RegistryError } from "../registry/errors.ts";
import type { RegistryStore } from "../registry/file-store.ts";
import type { StoredRecord } from "../registry/read-state.ts";
import type { RegistryContent } from "../registry/record.ts";
import { errorFields, findingEvents, type KeyEvent, type KeyEventFields, keyFields } from "./key-events.ts";
import { type HandleMaker, handleMaker } from "./key-handles.ts";
import {
  INITIAL_STATE,
  type LiveKey,
  type LiveState,
  withoutOwnObservation,
  withStored,
  withStoreFailure,
} from "./live-state.ts";
import type { ProbeHistory, RotationPolicy } from "./probe-history.ts";

export interface LiveRegistryOptions {
  readonly store: RegistryStore;
  readonly identity: ConfigIdentity;
  readonly pluginVersion: string;
  readonly policy: RotationPolicy;
  readonly onEvent: (event: KeyEvent) => void;
}

/** What became of a change: a new snapshot when it is durable, and what went wrong with the store. */
interface KeyChange {
  readonly key?: LiveKey;
  /** With `key`: its checkpoint could not be written. */
  readonly problem?: RegistryError | undefined;
}

/** The caller makes one change at a time. */
export class LiveRegistry {
  readonly handles: HandleMaker;
  readonly #options: LiveRegistryOptions;
  #state = INITIAL_STATE;

  constructor(options: LiveRegistryOptions) {
    this.#options = options;
    this.handles = handleMaker(options.identity, options.pluginVersion);
  }

  get state(): LiveState {
    return this.#state;
  }

  update(next: (state: LiveState) => LiveState): void {
    this.#state = next(this.#state);
  }

  setHistory(history: ProbeHistory): void {
    const before = this.#state;
    this.#state = { ...before, history };
    findingEvents(before, this.#state, this.#options.policy).forEach(this.#options.onEvent);
  }

  emit(name: KeyEvent["name"], level: KeyEvent["level"], fields: KeyEventFields): void {
    this.#options.onEvent({ name, level, fields });
  }

  /** @throws RegistryError with a refusal code. */
  async load(): Promise<"loaded" | "missing"> {
    const found = await this.#options.store.load();
    if (found.kind === "missing") {
      return "missing";
    }
    const { active, stored } = this.#show(found.stored);
    this.emit("registry.loaded", "info", { generation: stored.record.generation, ...keyFields(active) });
    return "loaded";
  }

  /** Adopts what a command wrote; a file that does not descend from ours is reported, and ours stays in use. */
  async follow(key: LiveKey, signal: AbortSignal): Promise<KeyChange & { readonly key: LiveKey }> {
    let stored: StoredRecord;
    try {
      stored = await this.#followFile(key.stored, signal);
    } catch (error) {
      return { key, problem: registryProblem(error) };
    }
    if (stored.hash !== key.stored.hash) {
      this.emit("registry.adopted", "info", { generation: stored.record.generation });
    }
    if (JSON.stringify(stored.record.observation) !== JSON.stringify(key.stored.record.observation)) {
      this.#state = withoutOwnObservation(this.#state);
    }
    return { key: this.#show(stored) };
  }

  async write(
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

  setStoreFailure(problem: RegistryError | undefined): void {
    const before = this.#state.storeFailure;
    this.#state = withStoreFailure(this.#state, problem);
    if (problem !== undefined && problem.code !== before?.code) {
      // That another process wrote first is no fault: the next probe follows it and decides anew.
      const level = problem.code === "registry_changed" ? "info" : "error";
      this.emit("registry.write", level, { status: "error", ...errorFields(problem) });
    } else if (problem === undefined && before !== undefined) {
      this.emit("registry.write", "info", { status: "ok", code: before.code });
    }
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
      this.emit("registry.write", "warn", { status: "ok", ...errorFields(lost) });
      return stored;
    }
  }

  #show(stored: StoredRecord): LiveKey {
    const shown = withStored(this.#state, stored, this.handles);
    this.#state = shown;
    return shown.key;
  }
}

/** The store's refusals and failures are values here; everything else is thrown. */
function registryProblem(error: unknown): RegistryError {
  if (!isRegistryError(error)) {
    throw error;
  }
  return error;
}
