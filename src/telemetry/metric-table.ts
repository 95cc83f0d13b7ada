/** @module Every metric of the provider: name, type, help, labels and the closed sets of their values. */
import { ERROR_CLASSES } from "../base/error-class.ts";
import { OPERATIONS } from "../base/operation.ts";

export const METRIC_PREFIX = "openbao_kms_";

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

/** The values that a label can have; `undefined` for the few whose values we make ourselves, one at a time. */
type LabelSets = Readonly<Record<string, readonly string[] | undefined>>;

export interface MetricRow<Labels extends LabelSets = LabelSets> {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: Labels;
}

function counter<const Labels extends LabelSets>(name: string, help: string, labels: Labels) {
  return { name, type: "counter", help, labels } as const;
}

function gauge<const Labels extends LabelSets>(name: string, help: string, labels: Labels) {
  return { name, type: "gauge", help, labels } as const;
}

function histogram<const Labels extends LabelSets>(name: string, help: string, labels: Labels) {
  return { name, type: "histogram", help, labels } as const;
}

/** Upper bounds in seconds: a Status answers in a fraction of a millisecond, a call to OpenBao may take its timeout. */
export const DURATION_BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;

export const METRICS = {
  grpcRequests: counter("grpc_requests_total", "KMS calls answered, by method and gRPC code.", {
    method: METHOD_LABELS,
    status: GRPC_STATUSES,
  }),
  grpcDuration: histogram("grpc_duration_seconds", "Duration of KMS calls.", { method: METHOD_LABELS }),
  grpcInFlight: gauge("grpc_in_flight", "KMS calls that run or wait for their turn.", {
    method: METHOD_LABELS,
  }),
  grpcWait: histogram(
    "grpc_wait_seconds",
    "How long KMS calls waited for their turn; calls that ran at once are not counted.",
    { method: METHOD_LABELS },
  ),
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
} as const satisfies Readonly<Record<string, MetricRow>>;

export type MetricKey = keyof typeof METRICS;
/** What the metric's labels may be. */
export type LabelsOf<Key extends MetricKey> = {
  readonly [Label in keyof (typeof METRICS)[Key]["labels"]]: (typeof METRICS)[Key]["labels"][Label] extends readonly (infer Value)[]
    ? Value
    : string;
};

export type MethodLabel = (typeof METHOD_LABELS)[number];
export type GrpcStatus = (typeof GRPC_STATUSES)[number];
