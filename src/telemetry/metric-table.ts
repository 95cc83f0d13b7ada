/** @module Every metric of the provider: name, type, help, labels, the closed sets of their values, and its recorder. */
import { ERROR_CLASSES } from "../base/error-class.ts";
import { OPERATIONS } from "../base/operation.ts";
import { PROCESS_METRICS } from "./process-metrics.ts";
import {
  counterOf,
  gaugeOf,
  histogramOf,
  type LabelSets,
  type LabelsOf,
  type MetricRow,
} from "./recorders.ts";
import { renderPage } from "./text-format.ts";

const METRIC_PREFIX = "openbao_kms_";

const METHOD_LABELS = ["status", "encrypt", "decrypt"] as const;

/** The gRPC codes in lower case. @see https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
export const GRPC_STATUSES = [
  "ok",
  "canceled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
] as const;

/** `ok`, or the class of the error. */
const OUTCOMES = ["ok", ...ERROR_CLASSES] as const;

/** Makes all recorders and their page; nothing is shared between two calls. */
export function createMetrics() {
  const rows: MetricRow[] = [];
  const declare = (type: MetricRow["type"], name: string, help: string, labels: LabelSets) => ({
    name: METRIC_PREFIX + name,
    type,
    help,
    labels,
  });
  const counter = <const Sets extends LabelSets>(name: string, help: string, labels: Sets) =>
    counterOf<LabelsOf<Sets>>(declare("counter", name, help, labels), rows);
  const gauge = <const Sets extends LabelSets>(name: string, help: string, labels: Sets) =>
    gaugeOf<LabelsOf<Sets>>(declare("gauge", name, help, labels), rows);
  const histogram = <const Sets extends LabelSets>(name: string, help: string, labels: Sets) =>
    histogramOf<LabelsOf<Sets>>(declare("histogram", name, help, labels), rows);
  const metrics = {
    grpcRequests: counter("grpc_requests_total", "KMS calls answered, by method and gRPC code.", {
      method: METHOD_LABELS,
      status: GRPC_STATUSES,
    }),
    grpcDuration: histogram("grpc_duration_seconds", "Duration of KMS calls.", { method: METHOD_LABELS }),
    grpcWait: histogram(
      "grpc_wait_seconds",
      "How long KMS calls waited for their turn; calls that ran at once are not counted.",
      { method: METHOD_LABELS },
    ),
    grpcInFlight: gauge("grpc_in_flight", "KMS calls that run or wait for their turn.", {
      method: METHOD_LABELS,
    }),
    grpcConcurrencyRejections: counter(
      "grpc_concurrency_rejections_total",
      "KMS calls refused because too many were waiting.",
      { method: METHOD_LABELS },
    ),
    openbaoRequests: counter("openbao_requests_total", "Calls to OpenBao and to token sources, by outcome.", {
      operation: OPERATIONS,
      status: OUTCOMES,
    }),
    openbaoDuration: histogram(
      "openbao_duration_seconds",
      "Duration of calls to OpenBao and to token sources.",
      {
        operation: OPERATIONS,
      },
    ),
    authLogin: counter("auth_login_total", "Logins to OpenBao, by outcome.", { status: OUTCOMES }),
    authRenewal: counter("auth_renewal_total", "Token renewals, by outcome.", { status: OUTCOMES }),
    authMethodInfo: gauge("auth_method_info", "1 for the configured auth method.", {
      method: ["jwt", "cert", "approle"],
    }),
    certificateSourceInfo: gauge("certificate_source_info", "1 for where the client certificate's key is.", {
      source: ["pkcs11", "file", "none"],
    }),
    tokenTtl: gauge("token_ttl_seconds", "Time until the OpenBao token expires; absent without a token.", {}),
    certificateTtl: gauge(
      "certificate_ttl_seconds",
      "Time until the client certificate expires; absent when none is used.",
      {},
    ),
    credentialTtl: gauge(
      "credential_ttl_seconds",
      "Time until the credential of the next login expires: JWT file, client certificate or secret id; absent when it is made for each login or its expiry is not known.",
      {},
    ),
    secretIdUses: gauge(
      "secret_id_uses",
      "Remaining logins of the AppRole secret id; absent without a limit, or when OpenBao does not report it.",
      {},
    ),
    statusKeyIdHash: gauge("status_key_id_hash", "1 for the hash of the key_id that Status shows.", {
      hash: undefined,
    }),
    keyVersion: gauge("key_version", "The Transit key version that encrypts.", {}),
    statusCacheAge: gauge("status_cache_age_seconds", "Time since the last good probe of the key.", {}),
    transitMetadataObservation: counter(
      "transit_metadata_observation_total",
      "Background reads of the key's metadata, by outcome.",
      { status: OUTCOMES },
    ),
    rotationState: gauge(
      "rotation_state",
      "1 for the present state: active (nothing to promote), pending (a newer version waits), lost (the active version is proven unusable), unknown (no key state).",
      { state: ["active", "pending", "lost", "unknown"] },
    ),
    registryOrigin: gauge(
      "registry_origin",
      "1 for how the registry of this node began: first_version (key never rotated), observed (inferred from the key's metadata), rebuilt (rebuild-registry).",
      { origin: ["first_version", "observed", "rebuilt"] },
    ),
    aadValidationErrors: counter(
      "aad_validation_errors_total",
      "Decrypts refused because of their annotations or associated data.",
      { reason: ["missing", "unexpected", "malformed", "disagrees", "rejected_by_openbao"] },
    ),
    decryptKeyIdErrors: counter("decrypt_key_id_errors_total", "Decrypts refused because of their key_id.", {
      reason: ["unknown", "malformed", "removed", "rejected", "version_mismatch"],
    }),
    circuitBreakerState: gauge(
      "circuit_breaker_state",
      "0 closed: OpenBao is called; 1 half open: one call tests OpenBao; 2 open: calls are refused at once.",
      {},
    ),
    panicRecoveries: counter("panic_recoveries_total", "Unexpected errors in handlers; each is a defect.", {
      method: METHOD_LABELS,
    }),
    socketRestarts: counter(
      "socket_restarts_total",
      "How often the socket was created again while the provider ran.",
      {},
    ),
    buildInfo: gauge("build_info", "1 for the build that is running.", {
      version: undefined,
      commit: undefined,
      runtime: undefined,
    }),
  };
  return { metrics, rows, renderPage: () => renderPage([...PROCESS_METRICS, ...rows]) };
}

/** One recorder for each row of the table. */
export type Metrics = ReturnType<typeof createMetrics>["metrics"];
export type MethodLabel = (typeof METHOD_LABELS)[number];
export type GrpcStatus = (typeof GRPC_STATUSES)[number];
