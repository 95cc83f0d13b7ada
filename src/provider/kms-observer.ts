/**
 * What each KMS call leaves in metrics and logs.
 *
 * @module Translates the service's records into recorders and log fields; decides nothing about the call.
 */
import { hashText } from "../key/identity/key-scope.ts";
import type { CallObserver, CallRecord, KmsMethod as ServiceMethod } from "../kms/ports.ts";
import type { FailureLog } from "../telemetry/failure-log.ts";
import type { LogFields } from "../telemetry/log-event.ts";
import type { Logger } from "../telemetry/logger.ts";
import { errorFields } from "../telemetry/logger.ts";
import { GRPC_STATUSES, type GrpcStatus, type KmsMethod } from "../telemetry/metric-table.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { DebugCorrelation } from "./debug-correlation.ts";

export interface KmsObserverOptions {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly failures: FailureLog;
  readonly correlation: DebugCorrelation | undefined;
  /** `logging.logOpenBaoRequestIDs`. */
  readonly logRequestIds: boolean;
}

const METHOD: Readonly<Record<ServiceMethod, KmsMethod>> = {
  Status: "status",
  Encrypt: "encrypt",
  Decrypt: "decrypt",
};

/** gRPC's own spelling, such as `INVALID_ARGUMENT`, as the metric's label has it. */
const METRIC_STATUS: ReadonlyMap<string, GrpcStatus> = new Map(
  GRPC_STATUSES.map((label) => [label === "canceled" ? "CANCELLED" : label.toUpperCase(), label]),
);

export function kmsObserver({
  metrics,
  logger,
  failures,
  correlation,
  logRequestIds,
}: KmsObserverOptions): CallObserver {
  /** Key_ids are few, their hashes are asked for at every call. */
  let lastKeyId: readonly [keyId: string, hash: string] = ["", ""];
  const keyIdHash = (keyId: string | undefined): string | undefined => {
    if (keyId === undefined) {
      return undefined;
    }
    if (lastKeyId[0] !== keyId) {
      lastKeyId = [keyId, hashText(keyId)];
    }
    return lastKeyId[1];
  };

  return {
    started: (method) => metrics.grpcInFlight.add({ method: METHOD[method] }, 1),
    ended: (call) => {
      const method = METHOD[call.method];
      const { failure } = call;
      metrics.grpcRequests.increment({ method, status: METRIC_STATUS.get(call.status) ?? "unknown" });
      if (failure?.rejection?.check === "concurrency") {
        metrics.grpcConcurrencyRejections.increment({ method });
      } else {
        metrics.grpcInFlight.add({ method }, -1);
        metrics.grpcDuration.observe({ method }, call.durationMs / 1000);
      }
      const ownFields: LogFields = {
        operation: method,
        status: call.status,
        durationMs: call.durationMs,
        keyIdHash: keyIdHash(call.keyId),
        transitKeyVersion: call.transitKeyVersion,
        openbaoRequestId: logRequestIds ? call.openbaoRequestId : undefined,
        batchIndex: logRequestIds ? call.batchIndex : undefined,
      };
      const fields =
        correlation === undefined ? ownFields : { ...ownFields, ...correlation.fieldsFor(call.uid) };
      if (failure === undefined) {
        failures.succeeded("kms.request", fields);
        return;
      }
      countRejection(metrics, call);
      failures.failed("kms.request", {
        ...errorFields(failure.cause),
        ...fields,
        errorClass: failure.errorClass,
      });
      if (failure.unexpected) {
        metrics.panicRecoveries.increment({ method });
        const panicType = failure.cause instanceof Error ? failure.cause.name : typeof failure.cause;
        logger.error("panic.recovered", { operation: method, panicType });
      }
    },
  };
}

function countRejection(metrics: Metrics, { failure }: CallRecord): void {
  const rejection = failure?.rejection;
  switch (rejection?.check) {
    case "key_id":
      metrics.decryptKeyIdErrors.increment({ reason: rejection.reason });
      return;
    case "associated_data":
      metrics.aadValidationErrors.increment({
        reason: rejection.reason === "refused_by_openbao" ? "rejected_by_openbao" : rejection.reason,
      });
      return;
    case "concurrency":
    case undefined:
      return;
  }
}
