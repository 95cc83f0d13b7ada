/** @module How many calls of each method run at the same time; the others wait, behind no other method. */
import { KMS_METHODS, type KmsMethod } from "./call-record.ts";
import { KmsError } from "./errors.ts";
import { Gate } from "./gate.ts";

export type ConcurrencyCaps = Readonly<Record<KmsMethod, number>>;

/**
 * Calls that may wait, identical ones each. kube-apiserver asks for one seed hundreds of times at once, does
 * not retry a refusal and encrypts one seed at a time. Their memory is a part of MAX_BODIES_BYTES of the server.
 */
export const MAX_WAITING: ConcurrencyCaps = { Status: 0, Encrypt: 256, Decrypt: 1024 };

export interface Turn {
  /**
   * Resolves when the call may run; `undefined` when it may run at once. Rejects with the signal's reason, or with KmsError
   * `concurrency_limit` when its place goes to a caller that has fewer.
   */
  readonly wait: Promise<void> | undefined;
  /** The call is over, or has given up waiting. To be called once. */
  leave(): void;
}

export interface Admission {
  /**
   * @param caller who is served in turn with the others.
   * @param dedupKey calls of one caller with the same one do the same work and count once.
   * @throws KmsError `concurrency_limit` when too many are waiting.
   */
  enter(method: KmsMethod, caller: object, dedupKey: string | undefined, signal: AbortSignal): Turn;
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
  return {
    enter: (method, caller, dedupKey, signal) => {
      const gate = gates[method];
      const place = gate.enter(caller, dedupKey);
      if (place === undefined) {
        throw tooMany(method);
      }
      const leave = (): void => gate.leave(place);
      if (place.state === "running") {
        return { wait: undefined, leave };
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      place.waiters.push({ start: resolve, refuse: () => reject(tooMany(method)) });
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      return { wait: promise, leave };
    },
    get inFlight() {
      return gates.Status.calls + gates.Encrypt.calls + gates.Decrypt.calls;
    },
  };
}

function tooMany(method: KmsMethod): KmsError {
  return new KmsError({
    code: "concurrency_limit",
    errorClass: "protocol_limit",
    message: `the maximum number of calls of ${method} runs or waits`,
    advice: `find out why OpenBao is slow; raise server.maxConcurrent${method} if the load is legitimate`,
  });
}
