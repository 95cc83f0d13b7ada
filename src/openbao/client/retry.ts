/** @module Whether a failed call is made again, where and when. */
import type { Clock } from "../../base/clock.ts";
import type { AttemptTerms, LagCodes, OpenBaoCall, OpenBaoNode } from "./attempt.ts";
import type { OpenBaoCode, OpenBaoError } from "./errors.ts";

export interface FailedAttempt {
  readonly code: OpenBaoCode;
  readonly idempotent: boolean;
  readonly lagCodes: LagCodes | undefined;
  /** Retries of this call so far, by cause. */
  readonly retries: { readonly lag: number; readonly lostConnection: number };
  /** Whether there is an address that this call has not tried and whose circuit lets calls through. */
  readonly anotherNode: boolean;
  /** Until the call's deadline. */
  readonly remainingMs: number;
}

export type NextStep =
  | { readonly kind: "give_up" }
  /** On another address at once. */
  | { readonly kind: "other_node" }
  /** On the same address, on a connection of its own. */
  | { readonly kind: "same_node" }
  /** On any address, on a connection of its own, after a pause. */
  | { readonly kind: "later"; readonly delayMs: number };

/** The request surely had no effect: it never got there, or it was turned away at the door. */
const NEVER_DONE: ReadonlySet<OpenBaoCode> = new Set([
  "circuit_open",
  "dns_failed",
  "connect_refused",
  "connect_failed",
  "redirect_refused",
  "sealed",
  "not_initialized",
  "standby",
]);

/** A request is sent only after the TLS handshake. */
function wasNeverDone(code: OpenBaoCode): boolean {
  return NEVER_DONE.has(code) || code.startsWith("tls_");
}

/** The request may have been done; only one that may be done twice goes to another address. */
const MAYBE_DONE: ReadonlySet<OpenBaoCode> = new Set([
  "timeout",
  "connection_lost",
  "reply_malformed",
  "foreign_answer",
]);

/** Whether the node itself failed, so that the next call starts at another address. */
function isNodeFailure(code: OpenBaoCode): boolean {
  return wasNeverDone(code) || MAYBE_DONE.has(code);
}

const LAG_DELAYS_MS: readonly number[] = [50, 100, 200, 400, 800];

export function nextStep({
  code,
  idempotent,
  lagCodes,
  retries,
  anotherNode,
  remainingMs,
}: FailedAttempt): NextStep {
  if (lagCodes?.has(code) === true || code === "standby_behind") {
    const delayMs = LAG_DELAYS_MS[retries.lag];
    return delayMs !== undefined && delayMs < remainingMs ? { kind: "later", delayMs } : { kind: "give_up" };
  }
  if (remainingMs <= 0) {
    return { kind: "give_up" };
  }
  if (anotherNode && (wasNeverDone(code) || (idempotent && MAYBE_DONE.has(code)))) {
    return { kind: "other_node" };
  }
  return code === "connection_lost" && idempotent && retries.lostConnection === 0
    ? { kind: "same_node" }
    : { kind: "give_up" };
}

/** A return to the first address is tried at most this often. */
const RETURN_AFTER_MS = 60_000;

/** Which of several addresses of one cluster calls start at, and which one is next. */
export class NodeChoice {
  readonly #nodes: readonly [OpenBaoNode, ...OpenBaoNode[]];
  readonly #clock: Pick<Clock, "monotonicMs">;
  #current: OpenBaoNode;
  #returnAtMs = 0;

  constructor(nodes: readonly [OpenBaoNode, ...OpenBaoNode[]], clock: Pick<Clock, "monotonicMs">) {
    this.#nodes = nodes;
    this.#clock = clock;
    this.#current = nodes[0];
  }

  get count(): number {
    return this.#nodes.length;
  }

  /** Where a call starts. */
  first(): OpenBaoNode {
    const [home] = this.#nodes;
    const isDue = this.#current !== home && this.#clock.monotonicMs() >= this.#returnAtMs;
    if (!isDue || !home.circuit.passable) {
      return this.#current;
    }
    this.#returnAtMs = this.#clock.monotonicMs() + RETURN_AFTER_MS;
    return home;
  }

  /** The next address in order, starting at the current one, that is not in `tried` and lets calls through. */
  next(tried: ReadonlySet<OpenBaoNode>): OpenBaoNode | undefined {
    return this.#inOrder().find((node) => !tried.has(node) && node.circuit.passable);
  }

  /** The next address that is not in `tried`, whatever its circuit says. */
  nextAtAll(tried: ReadonlySet<OpenBaoNode>): OpenBaoNode | undefined {
    return this.#inOrder().find((node) => !tried.has(node));
  }

  /** Calls no longer start here while there is another address that lets calls through. */
  leave(node: OpenBaoNode): void {
    if (node === this.#current) {
      this.stay(this.next(new Set([node])) ?? node);
    }
  }

  /** Calls now stay here. */
  stay(node: OpenBaoNode): void {
    if (node !== this.#current) {
      this.#current = node;
      this.#returnAtMs = this.#clock.monotonicMs() + RETURN_AFTER_MS;
    }
  }

  #inOrder(): readonly OpenBaoNode[] {
    const start = this.#nodes.indexOf(this.#current);
    return [...this.#nodes.slice(start), ...this.#nodes.slice(0, start)];
  }
}

/** One call from attempt to attempt: where it is, what it has tried, and what it ends with. */
export class RetryState {
  readonly #call: OpenBaoCall;
  readonly #choice: NodeChoice;
  readonly #remainingMs: () => number;
  readonly #tried = new Set<OpenBaoNode>();
  readonly #retries = { lag: 0, lostConnection: 0 };
  #node: OpenBaoNode;
  #freshConnection = false;
  /** Whether an address was really asked: then an open circuit of another one is no reason not to ask that one too. */
  #wentOut = false;
  /** What a node that may lag said; a wait for it that ends in silence is still that answer. */
  #lagging: OpenBaoError | undefined;

  constructor(call: OpenBaoCall, choice: NodeChoice, remainingMs: () => number) {
    this.#call = call;
    this.#choice = choice;
    this.#remainingMs = remainingMs;
    this.#node = choice.first();
  }

  get node(): OpenBaoNode {
    return this.#node;
  }

  /** How the attempt at the present address is made. */
  begin(): AttemptTerms {
    this.#tried.add(this.#node);
    return {
      timeoutMs: this.#remainingMs() * this.#shareOfTime(),
      freshConnection: this.#freshConnection,
      isLastResort: this.#wentOut,
    };
  }

  /** Moves on after a failure. Returns the pause before the next attempt. @throws OpenBaoError that the call ends with. */
  nextPause(error: OpenBaoError): number {
    const { signal, idempotent, lagCodes } = this.#call;
    if (signal.aborted) {
      throw this.#lagging ?? error;
    }
    this.#wentOut ||= error.code !== "circuit_open";
    if (isNodeFailure(error.code)) {
      this.#choice.leave(this.#node);
    }
    const other =
      this.#choice.next(this.#tried) ?? (this.#wentOut ? this.#choice.nextAtAll(this.#tried) : undefined);
    const step = nextStep({
      code: error.code,
      idempotent,
      lagCodes,
      retries: this.#retries,
      anotherNode: other !== undefined,
      remainingMs: this.#remainingMs(),
    });
    switch (step.kind) {
      case "give_up":
        throw error.code === "timeout" ? (this.#lagging ?? error) : error;
      case "other_node":
        this.#node = other ?? this.#node;
        return 0;
      case "same_node":
        this.#retries.lostConnection += 1;
        this.#freshConnection = true;
        return 0;
      case "later":
        this.#lagging = error;
        this.#retries.lag += 1;
        this.#freshConnection = true;
        return step.delayMs;
    }
  }

  /** After a pause every address is as good as a new one once all were tried. */
  afterPause(): void {
    if (this.#choice.next(this.#tried) === undefined) {
      this.#tried.clear();
    }
    this.#node = this.#choice.next(this.#tried) ?? this.#node;
  }

  /** With another address to turn to, a silent one gets half of the time that is left; with one that failed lately, more. */
  #shareOfTime(): number {
    if (this.#tried.size === this.#choice.count) {
      return 1;
    }
    return this.#choice.next(this.#tried) !== undefined ? 1 / 2 : 3 / 4;
  }
}
