/** @module What can be logged: the closed sets of events and fields. */
import type { ErrorClass } from "../base/error-class.ts";

export const LOG_EVENTS = [
  "auth.credential",
  "auth.login",
  "auth.renewal",
  "config.reloaded",
  "config.warning",
  "debug_correlation.started",
  "debug_correlation.ended",
  "kms.request",
  "log.dropped",
  "openbao.circuit",
  "openbao.request",
  "panic.recovered",
  "provider.failed",
  "provider.ready",
  "provider.started",
  "provider.starting",
  "provider.stopped",
  "provider.stopping",
  "registry.adopted",
  "registry.created",
  "registry.loaded",
  "registry.write",
  "rotation.lost",
  "rotation.observed",
  "rotation.pending",
  "rotation.profile",
  "rotation.promoted",
  "rotation.recovered",
  "rotation.rejected",
  "socket.created",
  "socket.stale_removed",
  "socket.restarted",
  "socket.unsafe",
  "status.probe",
  "tls.ca_reloaded",
] as const;

export type LogEvent = (typeof LOG_EVENTS)[number];

/** Every field of a line beside ts, level and message, with the name it has there. */
export const LOG_FIELD_NAMES = {
  operation: "operation",
  status: "status",
  durationMs: "duration_ms",
  keyIdHash: "key_id_hash",
  transitKeyVersion: "transit_key_version",
  openbaoRequestId: "openbao_request_id",
  /** Place among the items of a request to OpenBao that several calls shared. */
  batchIndex: "openbao_batch_index",
  probeKind: "probe_kind",
  healthz: "healthz",
  errorClass: "error_class",
  /** The closed code of the layer's error. */
  code: "code",
  /** The message of a ProviderError. */
  reason: "reason",
  /** The advice of a ProviderError: what to type. */
  advice: "advice",
  /** How many like failures this line stands for. */
  repeated: "repeated",
  method: "method",
  state: "state",
  generation: "generation",
  version: "version",
  commit: "commit",
  fingerprint: "fingerprint",
  address: "address",
  path: "path",
  panicType: "panic_type",
  requestUidHash: "request_uid_hash",
  debugCorrelationIncident: "debug_correlation_incident",
  debugCorrelationExpiresAt: "debug_correlation_expires_at",
} as const;

export type LogFieldName = keyof typeof LOG_FIELD_NAMES;

/** The values of one line. Absent and undefined fields are left out of it. */
export type LogFields = {
  readonly [Name in Exclude<
    LogFieldName,
    "durationMs" | "transitKeyVersion" | "batchIndex" | "repeated" | "generation" | "errorClass"
  >]?: string | undefined;
} & {
  readonly durationMs?: number | undefined;
  readonly transitKeyVersion?: number | undefined;
  readonly batchIndex?: number | undefined;
  readonly repeated?: number | undefined;
  readonly generation?: number | undefined;
  readonly errorClass?: ErrorClass | undefined;
};
