/**
 * What each call to OpenBao leaves in metrics and logs.
 *
 * @module Translates call reports and circuit changes; decides nothing about the call.
 */
import type { OpenBaoObserver } from "../openbao/client/client.ts";
import type { FailureLog } from "../telemetry/failure-log.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface OpenBaoObserverOptions {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly failures: FailureLog;
  /** `logging.logOpenBaoRequestIDs`. */
  readonly logRequestIds: boolean;
  readonly addresses: readonly string[];
}

const CIRCUIT_VALUE = { closed: 0, half_open: 1, open: 2 } as const;

export function openBaoObserver(options: OpenBaoObserverOptions): OpenBaoObserver {
  const { metrics, logger, failures } = options;
  metrics.circuitBreakerState.set({}, CIRCUIT_VALUE.closed);
  /** An outage has one beginning and one end, however often the circuit lets a call try in between. */
  let isToldOpen = false;
  return {
    onCall: ({ operation, status, errorClass, durationMs, requestId }) => {
      metrics.openbaoRequests.increment({ operation, status: errorClass ?? "ok" });
      metrics.openbaoDuration.observe({ operation }, durationMs / 1000);
      const fields = {
        operation,
        durationMs,
        ...(options.logRequestIds ? { openbaoRequestId: requestId } : {}),
      };
      if (status === "ok") {
        failures.succeeded("openbao.request", fields);
      } else if (errorClass === "canceled") {
        // Its caller gave up, or the provider stops: that is no failure of the call.
        logger.debug("openbao.request", { ...fields, status, errorClass });
      } else {
        failures.failed("openbao.request", { ...fields, errorClass, code: status });
      }
    },
    onCircuit: (kind) => {
      metrics.circuitBreakerState.set({}, CIRCUIT_VALUE[kind]);
      const isNews = kind === "open" ? !isToldOpen : kind === "closed" && isToldOpen;
      isToldOpen = kind === "open" || (isToldOpen && kind !== "closed");
      logger[isNews ? (kind === "open" ? "warn" : "info") : "debug"]("openbao.circuit", { state: kind });
    },
    onNode: (index) => {
      logger.info("openbao.circuit", { state: "other_node", address: options.addresses[index] });
    },
  };
}
