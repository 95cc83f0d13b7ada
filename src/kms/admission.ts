/**
 * How many calls of each method run at the same time; the others wait their turn within their own deadline.
 *
 * @module A gate per method, so that no method waits for another. Which call is next is decided in gate.ts.
 */

import { KMS_METHODS, type KmsMethod } from "./call-record.ts";
import { KmsError } from "./errors.ts";
import { Gate, type Place } from "./gate.ts";

export type ConcurrencyCaps = Readonly<Record<KmsMethod, number>>;

/**
 * Calls that may wait. kube-apiserver asks for one seed hundreds of times at once, does not retry a refusal and encrypts one
 * seed at a time. Their memory is a part of MAX_BODIES_BYTES of the server.
 */
export const MAX_WAITING: ConcurrencyCaps = { Status: 0, Encrypt: 256, Decrypt: 1024 };

export interface Turn {
  /** Resolves when the call may run, rejects with the signal's reason; `undefined` when it may run at once. */
  readonly wait: Promise<void> | undefined;
  /** The call is over, or has given up waiting. To be called once. */
  leave(): void;
}

export interface Admission {
  /**
   * @param identity calls with the same one do the same work and count once.
   * @throws KmsError `concurrency_limit` when too many are waiting.
   */
  enter(method: KmsMethod, identity: string | undefined, signal: AbortSignal): Turn;
  /** Calls of all methods that run or wait. */
  readonly inFlight: number;
}

/** @throws RangeError when a cap is not a whole number of at least 1. */
export function admission(caps: ConcurrencyCaps, maxWaiting: ConcurrencyCaps = MAX_WAITING): Admission {
  for (const method of KMS_METHODS) {
    if (!Number.isInteger(caps[method]) || caps[method] < 1) {
      throw new RangeError(`cap of ${method} must be a whole number of at least 1`);
    }
  }
  const gateOf = (method: KmsMethod): Gate => new Gate(caps[method], maxWaiting[method]);
  const gates: Readonly<Record<KmsMethod, Gate>> = {
    Status: gateOf("Status"),
    Encrypt: gateOf("Encrypt"),
    Decrypt: gateOf("Decrypt"),
  };
  /** Who waits at a place. */
  const waiting = new Map<Place, Set<() => void>>();

  function waitAt(place: Place, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const others = waiting.get(place) ?? new Set();
    waiting.set(place, others);
    const stop = (): void => {
      others.delete(start);
      reject(signal.reason);
    };
    const start = (): void => {
      signal.removeEventListener("abort", stop);
      resolve();
    };
    others.add(start);
    signal.addEventListener("abort", stop, { once: true });
    return promise;
  }

  function leave(gate: Gate, place: Place): void {
    const next = gate.leave(place);
    if (place.calls === 0) {
      waiting.delete(place);
    }
    if (next !== undefined) {
      const starts = waiting.get(next) ?? [];
      waiting.delete(next);
      for (const start of starts) {
        start();
      }
    }
  }

  return {
    enter: (method, identity, signal) => {
      const gate = gates[method];
      const place = gate.enter(identity);
      if (place === undefined) {
        throw new KmsError({
          code: "concurrency_limit",
          errorClass: "protocol_limit",
          message: `${gate.calls} calls of ${method} run or wait, which is the maximum`,
          advice: `find out why OpenBao is slow; raise server.maxConcurrent${method} if the load is legitimate`,
        });
      }
      return {
        wait: place.isRunning ? undefined : waitAt(place, signal),
        leave: () => leave(gate, place),
      };
    },
    get inFlight() {
      return gates.Status.calls + gates.Encrypt.calls + gates.Decrypt.calls;
    },
  };
}
