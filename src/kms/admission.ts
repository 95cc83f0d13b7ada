/**
 * How many calls of each method may be under way.
 *
 * @module A count per method. There is no queue: the call above the cap is refused at once, because a caller that waits
 * unseen runs into its own deadline and learns nothing.
 */
import { KmsError } from "./errors.ts";
import { KMS_METHODS, type KmsMethod } from "./ports.ts";

export type ConcurrencyCaps = Readonly<Record<KmsMethod, number>>;

export interface Admission {
  /** @throws KmsError `concurrency_limit` when the method's cap is reached; then {@link leave} is not to be called. */
  enter(method: KmsMethod): void;
  leave(method: KmsMethod): void;
  /** Calls of all methods under way. */
  readonly inFlight: number;
}

/** @throws RangeError when a cap is not a whole number of at least 1. */
export function admission(caps: ConcurrencyCaps): Admission {
  for (const method of KMS_METHODS) {
    if (!Number.isInteger(caps[method]) || caps[method] < 1) {
      throw new RangeError(`cap of ${method} must be a whole number of at least 1`);
    }
  }
  const underWay: Record<KmsMethod, number> = { Status: 0, Encrypt: 0, Decrypt: 0 };
  return {
    enter: (method) => {
      if (underWay[method] >= caps[method]) {
        throw new KmsError({
          code: "concurrency_limit",
          errorClass: "protocol_limit",
          message: `${caps[method]} calls of ${method} are under way, which is the configured maximum`,
          advice: `raise server.maxConcurrent${method} if the load is legitimate`,
        });
      }
      underWay[method] += 1;
    },
    leave: (method) => {
      underWay[method] -= 1;
    },
    get inFlight() {
      return underWay.Status + underWay.Encrypt + underWay.Decrypt;
    },
  };
}
