/** @module Writes what probes and look-ups found to the registry and the live key: durable first, then visible, one at a time. */
import type { Clock } from "../../base/clock.ts";
import { ProviderError } from "../../base/error-class.ts";
import type { TransitClient } from "../../openbao/transit/client.ts";
import type { KeyMetadata, KeyVersion } from "../../openbao/transit/key-metadata.ts";
import type { KeyNames } from "../../openbao/transit/key-profile.ts";
import { fingerprint, identityHashes } from "../identity/fingerprint.ts";
import {
  firstContent,
  withActiveMarker,
  withNewVersions,
  withObservedStart,
  withPromoted,
} from "../registry/changes.ts";
import type { RegistryError } from "../registry/errors.ts";
import { originOf, type RegistryContent, versionOf } from "../registry/record.ts";
import { type BootstrapPolicy, bootstrapStep } from "./bootstrap.ts";
import { assess, FINDINGS } from "./finding.ts";
import { changeEvents, errorFields, keyFields } from "./key-events.ts";
import type { StatusPolicy } from "./key-status.ts";
import { LiveRegistry, type LiveRegistryOptions } from "./live-registry.ts";
import {
  type LiveKey,
  type LiveState,
  type ProbeKind,
  withObserving,
  withoutProbeFailure,
  withProbeFailure,
  withUnrecorded,
} from "./live-state.ts";
import { makeMarker } from "./marker.ts";
import { type Moment, type ProbeAnswer, withMarkerCheck } from "./probe-history.ts";
import { observe } from "./promotion.ts";

export interface LiveKeyWriterOptions extends LiveRegistryOptions {
  readonly statePath: string;
  readonly transit: Pick<TransitClient, "encrypt" | "decrypt">;
  readonly clock: Clock;
  readonly policy: StatusPolicy & BootstrapPolicy;
}

export class LiveKeyWriter {
  readonly #options: LiveKeyWriterOptions;
  readonly #live: LiveRegistry;
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(options: LiveKeyWriterOptions) {
    this.#options = options;
    this.#live = new LiveRegistry(options);
  }

  get state(): LiveState {
    return this.#live.state;
  }

  /** @throws RegistryError with a refusal code. */
  load(): Promise<"loaded" | "missing"> {
    return this.#inTurn(() => this.#live.load());
  }

  /**
   * Records what a probe saw; loads or makes the registry when there is none, promotes a version that is due.
   * @throws ProviderError when there is no registry and none can be made.
   */
  recordProbe(answer: ProbeAnswer, at: Moment, signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      this.#live.update((state) => withoutProbeFailure(state, "metadata"));
      if (this.state.key === undefined && (await this.#live.load()) === "missing") {
        await this.#bootstrap(answer, at, signal);
      } else if (this.state.key !== undefined) {
        await this.#apply(this.state.key, answer, at, signal);
      }
    });
  }

  /** Records versions that a Decrypt asked for; never counts as an observation. */
  recordVersions(metadata: KeyMetadata, at: Moment, signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      if (this.state.key === undefined) {
        return;
      }
      const live = this.#live;
      const { key, problem } = await live.follow(this.state.key, signal);
      const { record } = key.stored;
      const unseen = metadata.versions.filter((each) => versionOf(record, each.version) === undefined);
      if (unseen.length === 0 || !isOfOneHistory(record, metadata, this.#options.policy.names)) {
        return;
      }
      const content = withNewVersions(record, unseen, at.wallMs);
      live.update((state) => withUnrecorded(state, key, content, live.handles));
      const written = problem === undefined ? await live.write(key.stored, content, signal) : { problem };
      live.setStoreFailure(written.problem);
      changeEvents(record, content, live.handles.handleOf).forEach(this.#options.onEvent);
    });
  }

  recordMarkerCheck(decrypted: boolean, { version }: KeyVersion): void {
    this.#live.setHistory(withMarkerCheck(this.state.history, decrypted, version, this.#options.policy));
  }

  keepMarker(marker: string, signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      const { key, storeFailure } = this.state;
      if (key !== undefined && storeFailure === undefined) {
        const content = withActiveMarker(key.stored.record, marker);
        this.#live.setStoreFailure((await this.#live.write(key.stored, content, signal)).problem);
      }
    });
  }

  probeFailed(kind: ProbeKind, error: ProviderError): void {
    this.#live.update((state) => withProbeFailure(state, kind, error));
  }

  deepProbeSucceeded(): void {
    this.#live.update((state) => withoutProbeFailure(state, "deep"));
  }

  /** One change at a time, in the order in which they were asked for; one that fails does not block the next. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lastChange.then(work, work);
    this.#lastChange = result.catch(() => {});
    return result;
  }

  async #bootstrap(answer: ProbeAnswer, at: Moment, signal: AbortSignal): Promise<void> {
    const { identity, policy, statePath, transit } = this.#options;
    const live = this.#live;
    const shown = answer.kind === "key" ? answer.key.versions : [];
    const next = bootstrapStep(answer, this.state.observing?.candidate, statePath, policy);
    if (next.kind === "wait") {
      if (policy.missingState === "observe") {
        live.update((state) => withObserving(state, next, shown, live.handles));
      }
      throw next.reason;
    }
    const marker = await makeMarker(transit, live.handles.handleOf(next.active), signal);
    const first = firstContent(
      identityHashes(identity),
      fingerprint(identity),
      { ...next.active, marker },
      at.wallMs,
    );
    const content = next.observed ? withObservedStart(first, shown, at.wallMs) : first;
    const { key, problem } = await live.write(undefined, content, signal);
    live.setStoreFailure(problem);
    if (key === undefined) {
      throw problem ?? new TypeError("a write that failed without a reason");
    }
    live.update((state) => ({ ...state, history: { ...state.history, soundAt: at } }));
    live.emit("registry.created", "info", {
      generation: 1,
      code: originOf(content),
      ...keyFields(key.active),
    });
  }

  async #apply(start: LiveKey, answer: ProbeAnswer, at: Moment, signal: AbortSignal): Promise<void> {
    const { onEvent, policy } = this.#options;
    const live = this.#live;
    let { key, problem } = await live.follow(start, signal);
    const { record } = key.stored;
    const seen = observe(record, this.state.history, answer, at, policy);
    live.setHistory(seen.history);
    if (problem === undefined && seen.content !== record) {
      const written = await live.write(key.stored, seen.content, signal);
      problem = written.problem;
      if (written.key === undefined) {
        const unwritten = key;
        live.update((state) => withUnrecorded(state, unwritten, seen.content, live.handles));
      } else {
        key = written.key;
        changeEvents(record, seen.content, live.handles.handleOf).forEach(onEvent);
      }
    }
    if (problem === undefined && seen.due !== undefined) {
      problem = await this.#promote(key, seen.due, signal);
    }
    live.setStoreFailure(problem);
  }

  async #promote(key: LiveKey, due: KeyVersion, signal: AbortSignal): Promise<RegistryError | undefined> {
    const { clock, transit } = this.#options;
    const live = this.#live;
    let marker: string;
    try {
      marker = await makeMarker(transit, live.handles.handleOf(due), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ProviderError)) {
        throw error;
      }
      // A standby that lags may not have the version yet: it stays pending until its marker has decrypted.
      live.emit("rotation.pending", "warn", { transitKeyVersion: due.version, ...errorFields(error) });
      return undefined;
    }
    const content = withPromoted(key.stored.record, { ...due, marker }, clock.wallMs());
    const written = await live.write(key.stored, content, signal);
    if (written.key !== undefined) {
      const { active, stored } = written.key;
      live.emit("rotation.promoted", "info", { generation: stored.record.generation, ...keyFields(active) });
    }
    return written.problem;
  }
}

/** Metadata that contradicts the registry, or goes back behind it, adds nothing to it. */
function isOfOneHistory(content: RegistryContent, key: KeyMetadata, names: KeyNames): boolean {
  const answer = { kind: "key", key, upsertDisabled: true } as const;
  return assess(content, answer, names).every(({ code }) => FINDINGS[code].effect === "hold");
}
