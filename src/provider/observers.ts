/** @module What calls, logins, credentials, key and socket leave in logs and metrics. Translates events; decides nothing. */
import { errorClassOf } from "../base/error-class.ts";
import { hashText } from "../key/identity/key-scope.ts";
import type { KeyEvent } from "../key/rotation/key-events.ts";
import type { KeyView } from "../key/rotation/key-status.ts";
import type { CallObserver, KmsMethod } from "../kms/call-record.ts";
import type { CredentialObserver } from "../openbao/auth/jwt-method.ts";
import type { SessionObserver, SessionReport } from "../openbao/auth/session.ts";
import type { OpenBaoObserver } from "../openbao/client/client.ts";
import type { SocketEvent } from "../server/socket/kms-socket.ts";
import type { FailureLog } from "../telemetry/failure-log.ts";
import type { LogEvent, LogFields } from "../telemetry/log-event.ts";
import { errorFields, type Logger } from "../telemetry/logger.ts";
import { GRPC_STATUSES, type GrpcStatus, type MethodLabel, type Metrics } from "../telemetry/metric-table.ts";
import type { DebugCorrelation } from "./debug-correlation.ts";

export interface Telemetry {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly failures: FailureLog;
  readonly logRequestIds: boolean;
}

function report({ failures }: Telemetry, event: LogEvent, fields: LogFields, error: unknown): void {
  if (error === undefined) {
    failures.succeeded(event, fields);
  } else {
    failures.failed(event, { ...fields, ...errorFields(error) });
  }
}

/** Requests for a credential to others than OpenBao: an OAuth2 token endpoint, a SPIFFE Workload API. */
export function credentialObserver(telemetry: Telemetry): CredentialObserver {
  const { openbaoDuration, openbaoRequests } = telemetry.metrics;
  return (operation, durationMs, error) => {
    openbaoRequests.increment({ operation, status: error === undefined ? "ok" : errorClassOf(error) });
    openbaoDuration.observe({ operation }, durationMs / 1000);
    report(telemetry, "auth.credential", { operation, durationMs }, error);
  };
}

export function storedCredentialObserver(telemetry: Telemetry, method: string): (error?: unknown) => void {
  return (error) => report(telemetry, "auth.credential", { method }, error);
}

export function sessionObserver(telemetry: Telemetry, method: string): SessionObserver {
  const { metrics } = telemetry;
  const tell = (event: LogEvent, { error, durationMs }: SessionReport): void =>
    report(telemetry, event, { method, durationMs }, error);
  return {
    onLogin: (login) => {
      metrics.authLogin.increment({ status: login.error?.errorClass ?? "ok" });
      tell("auth.login", login);
    },
    onRenewal: (renewal) => {
      metrics.authRenewal.increment({ status: renewal.error?.errorClass ?? "ok" });
      tell("auth.renewal", renewal);
    },
  };
}

/** Takes each event of the key, and shows the key's present state in the gauges after it. */
export function keyObserver(
  { metrics, logger, failures }: Telemetry,
  view: () => Pick<KeyView, "rotationState" | "origin" | "active" | "metadataAgeMs">,
): (event: KeyEvent) => void {
  metrics.statusCacheAge.readAtScrape(() => {
    const { metadataAgeMs } = view();
    return metadataAgeMs === undefined ? undefined : metadataAgeMs / 1000;
  });
  const showInGauges = (): void => {
    const { active, origin, rotationState } = view();
    metrics.rotationState.setOnly({ state: rotationState });
    if (origin !== undefined) {
      metrics.registryOrigin.setOnly({ origin });
    }
    if (active !== undefined) {
      metrics.keyVersion.set({}, active.version);
      metrics.statusKeyIdHash.setOnly({ hash: active.keyIdHash });
    }
  };
  return ({ name, level, fields }) => {
    if (name === "status.probe") {
      if (fields.probeKind === "metadata") {
        metrics.transitMetadataObservation.increment({ status: fields.errorClass ?? "ok" });
      }
      // Each kind of probe fails and recovers on its own.
      failures[fields.status === "error" ? "failed" : "succeeded"](name, {
        operation: fields.probeKind,
        ...fields,
      });
    } else {
      logger[level](name, fields);
    }
    showInGauges();
  };
}

const METHOD: Readonly<Record<KmsMethod, MethodLabel>> = {
  Status: "status",
  Encrypt: "encrypt",
  Decrypt: "decrypt",
};

/** gRPC's own spelling, such as `INVALID_ARGUMENT`, as the metric's label has it. */
const METRIC_STATUS: ReadonlyMap<string, GrpcStatus> = new Map(
  GRPC_STATUSES.map((label) => [label === "canceled" ? "CANCELLED" : label.toUpperCase(), label]),
);

export function kmsObserver(
  { metrics, logger, failures, logRequestIds }: Telemetry,
  correlation: DebugCorrelation | undefined,
): CallObserver {
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
      metrics.grpcInFlight.add({ method }, -1);
      if (failure?.rejection?.check === "concurrency") {
        metrics.grpcConcurrencyRejections.increment({ method });
      } else {
        metrics.grpcDuration.observe({ method }, call.durationMs / 1000);
      }
      if (call.waitedMs !== undefined) {
        metrics.grpcWait.observe({ method }, call.waitedMs / 1000);
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
      const { rejection } = failure;
      if (rejection?.check === "key_id") {
        metrics.decryptKeyIdErrors.increment({ reason: rejection.reason });
      } else if (rejection?.check === "associated_data") {
        metrics.aadValidationErrors.increment({ reason: rejection.reason });
      }
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

const CIRCUIT_VALUE = { closed: 0, half_open: 1, open: 2 } as const;

export function openBaoObserver(
  { metrics, logger, failures, logRequestIds }: Telemetry,
  addresses: readonly string[],
): OpenBaoObserver {
  metrics.circuitBreakerState.set({}, CIRCUIT_VALUE.closed);
  /** An outage has one beginning and one end, however often the circuit lets a call try in between. */
  let isToldOpen = false;
  return {
    onCall: ({ operation, status, errorClass, durationMs, requestId }) => {
      metrics.openbaoRequests.increment({ operation, status: errorClass ?? "ok" });
      metrics.openbaoDuration.observe({ operation }, durationMs / 1000);
      const openbaoRequestId = logRequestIds ? requestId : undefined;
      if (status === "ok") {
        failures.succeeded("openbao.request", { operation, status, durationMs, openbaoRequestId });
      } else if (errorClass === "canceled") {
        // Its caller gave up, or the provider stops: that is no failure of the call.
        logger.debug("openbao.request", { operation, status, durationMs, openbaoRequestId, errorClass });
      } else {
        failures.failed("openbao.request", {
          operation,
          durationMs,
          openbaoRequestId,
          errorClass,
          code: status,
        });
      }
    },
    onCircuit: (kind) => {
      metrics.circuitBreakerState.set({}, CIRCUIT_VALUE[kind]);
      const isNews = kind === "open" ? !isToldOpen : kind === "closed" && isToldOpen;
      isToldOpen = kind === "open" || (isToldOpen && kind !== "closed");
      logger[isNews ? (kind === "open" ? "warn" : "info") : "debug"]("openbao.circuit", { state: kind });
    },
    onNode: (index) => {
      logger.info("openbao.circuit", { state: "other_node", address: addresses[index] });
    },
  };
}

export function socketObserver({ metrics, logger }: Telemetry): (event: SocketEvent) => void {
  return (event) => {
    switch (event.kind) {
      case "stale_removed":
        logger.info("socket.stale_removed");
        return;
      case "restarted":
        metrics.socketRestarts.increment({});
        logger.warn("socket.restarted");
        return;
      case "not_ready":
        logger.error("socket.unsafe", errorFields(event.error));
        return;
      case "ready":
        logger.info("socket.created", { status: "recovered" });
        return;
    }
  };
}
