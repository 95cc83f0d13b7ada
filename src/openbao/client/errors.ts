/** @module The error table: class, message and advice for each code of an OpenBao call that failed. */
import { type Meaning, meaningFor, ProviderError, type ProviderErrorInit } from "../../base/error-class.ts";
import type { TransportCode, TransportError } from "../../http/errors.ts";

/** What OpenBao answered, when it was not the answer that was wanted. */
export type AnswerCode = keyof typeof MEANINGS;

export type OpenBaoCode = AnswerCode | TransportCode | "circuit_open";

interface OpenBaoErrorInit extends ProviderErrorInit<OpenBaoCode> {
  /** HTTP status, when there was an answer. */
  readonly status?: number;
  /** How long OpenBao asks to wait, bounded. */
  readonly retryAfterMs?: number | undefined;
}

export class OpenBaoError extends ProviderError<OpenBaoCode> {
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(init: OpenBaoErrorInit) {
    super(init);
    this.status = init.status;
    this.retryAfterMs = init.retryAfterMs;
  }
}

/** A call as messages name it; both parts are ours or from the configuration. */
interface CallName {
  readonly operation: string;
  /** Without the leading `/v1/`. */
  readonly path: string;
  /** An answer that is not OpenBao's, in words. */
  readonly answer?: string;
}

const MEANINGS = {
  sealed: {
    errorClass: "openbao_sealed",
    problem: "OpenBao is sealed",
    advice: "bao operator unseal",
  },
  namespace_sealed: {
    errorClass: "openbao_sealed",
    problem: "the namespace of openbao.namespace, or one above it, is sealed; OpenBao itself is not",
    advice: "bao namespace unseal NAMESPACE",
  },
  namespace_locked: {
    errorClass: "openbao_unavailable",
    problem: "an administrator has locked the API of the namespace of openbao.namespace, or of one above it",
    advice: "bao namespace unlock NAMESPACE",
  },
  not_initialized: {
    errorClass: "openbao_sealed",
    problem: "OpenBao is not initialized",
    advice: "bao operator init",
  },
  standby: {
    errorClass: "openbao_unavailable",
    problem: "OpenBao is a standby that cannot reach the active node",
    advice: "bao operator members",
  },
  standby_behind: {
    errorClass: "openbao_unavailable",
    problem: "OpenBao is a standby that lags behind the active node",
  },
  rate_limited: {
    errorClass: "openbao_rate_limited",
    problem: ({ operation }) => `OpenBao rejects ${operation} at the moment: too many requests`,
    advice: "see the quotas: bao list sys/quotas/rate-limit",
  },
  server_error: {
    errorClass: "openbao_unavailable",
    problem: ({ operation }) => `OpenBao answered ${operation} with an internal error`,
    advice: "see OpenBao's log",
  },
  permission_denied: {
    errorClass: "transit_policy_denied",
    problem: ({ operation, path }) => `OpenBao denies ${operation}: the token may not use ${path}`,
    advice: ({ path }) => `allow the path "${path}" in a policy of the token's role`,
  },
  namespace_missing: {
    errorClass: "config_invalid",
    problem: "the namespace in openbao.namespace or auth.namespace does not exist in OpenBao",
    advice: "set both to names that this lists: bao namespace list",
  },
  mount_missing: {
    errorClass: "transit_key_missing",
    problem: ({ path }) => `nothing is mounted in OpenBao at ${path}`,
    advice: "compare transit.mountPath with: bao secrets list, and auth.*.mountPath with: bao auth list",
  },
  not_found: {
    errorClass: "transit_key_missing",
    problem: ({ path }) => `OpenBao found nothing at ${path}`,
  },
  key_missing: {
    errorClass: "transit_key_missing",
    problem: ({ path }) => `the Transit key of ${path} does not exist`,
    advice: "compare transit.keyName with: bao list TRANSIT_MOUNT/keys",
  },
  key_soft_deleted: {
    errorClass: "transit_key_missing",
    problem: ({ path }) => `the Transit key of ${path} is soft-deleted`,
    advice: "bao write -f TRANSIT_MOUNT/keys/KEY/soft-delete-restore",
  },
  decrypt_failed: {
    errorClass: "aad_mismatch",
    problem: "the ciphertext does not belong to this key, version and associated data, or is damaged",
  },
  ciphertext_refused: {
    errorClass: "protocol_limit",
    problem: "OpenBao does not recognise the ciphertext as its own",
  },
  version_too_new: {
    errorClass: "transit_key_missing",
    problem: ({ operation }) =>
      `the OpenBao node that answered ${operation} does not have that version of the key yet`,
  },
  version_too_old: {
    errorClass: "transit_key_missing",
    problem: ({ operation }) =>
      `OpenBao refuses ${operation}: the version of the key is below its min_decryption_version or min_encryption_version`,
    advice:
      "lower them with: bao write TRANSIT_MOUNT/keys/KEY/config min_decryption_version=1 min_encryption_version=0",
  },
  version_missing: {
    errorClass: "transit_key_missing",
    problem: ({ operation }) =>
      `OpenBao refuses ${operation}: that version of the key is hidden or does not exist`,
    advice: "compare min_decryption_version with: bao read TRANSIT_MOUNT/keys/KEY",
  },
  not_renewable: {
    errorClass: "auth_expired",
    problem: "the token is not renewable",
  },
  login_role_missing: {
    errorClass: "auth_failed",
    problem: ({ path }) => `the configured role does not exist in the auth method of ${path}`,
    advice: ({ path }) => `compare it with: bao list ${mountOf(path)}/role`,
  },
  login_jwt_untrusted: {
    errorClass: "auth_failed",
    problem: ({ path }) => `the auth method of ${path} does not trust the JWT's signature`,
    advice: ({ path }) =>
      `compare the issuer's keys with jwt_validation_pubkeys, jwks_url or oidc_discovery_url of: bao read ${mountOf(path)}/config`,
  },
  login_jwt_expired: {
    errorClass: "auth_expired",
    problem: "OpenBao rejects the JWT as expired",
    advice: "renew the JWT; compare this node's clock with OpenBao's: timedatectl",
  },
  login_claims_refused: {
    errorClass: "auth_failed",
    problem: ({ path }) => `a claim of the JWT does not match the role at ${path}`,
    advice: ({ path }) =>
      `compare iss, aud and sub with bound_issuer, bound_audiences, bound_subject and bound_claims of: bao read ${mountOf(path)}/role/ROLE`,
  },
  login_secret_refused: {
    errorClass: "auth_failed",
    problem: "OpenBao rejects the role id or the secret id: wrong, expired, or used up",
    advice: ({ path }) => `create a new secret id: bao write -f ${mountOf(path)}/role/ROLE/secret-id`,
  },
  login_certificate_refused: {
    errorClass: "auth_failed",
    problem: ({ path }) => `no role at ${path} accepts the client certificate`,
    advice: ({ path }) => `compare its issuer and names with: bao read ${mountOf(path)}/certs/ROLE`,
  },
  wrapping_token_unknown: {
    errorClass: "auth_expired",
    problem:
      "OpenBao does not know the wrapping token: it has expired, or it was used before, or it is not a wrapping token",
    advice:
      "if you did not use it, someone else did: revoke the wrapped secret id. Wrap a new one: bao write -wrap-ttl=5m -f auth/approle/role/ROLE/secret-id",
  },
  request_refused: {
    errorClass: "unknown",
    problem: ({ operation }) => `OpenBao refused ${operation}, and this release does not know the reason`,
    advice: "see OpenBao's audit log",
  },
  unexpected_status: {
    errorClass: "openbao_unavailable",
    problem: ({ operation }) => `OpenBao answered ${operation} with a status that OpenBao does not use`,
    advice: "check that openbao.address leads to OpenBao and not to another server",
  },
  foreign_answer: {
    errorClass: "openbao_unavailable",
    problem: ({ operation, answer = "another document" }) =>
      `the answer to ${operation} does not come from OpenBao: ${answer}, perhaps from a proxy, a firewall or a load balancer`,
    advice: ({ path }) =>
      `check openbao.address, and the log of the proxy or firewall between this node and OpenBao: it must pass /v1/${path} unchanged`,
  },
  reply_malformed: {
    errorClass: "openbao_unavailable",
    problem: ({ operation }) => `the answer to ${operation} is not a valid answer of OpenBao`,
    advice: "check that openbao.address leads to OpenBao and not to another server",
  },
} as const satisfies Readonly<Record<string, Meaning<CallName>>>;

/** `auth/jwt` of `auth/jwt/login`. */
function mountOf(path: string): string {
  return path.replace(/\/login$/, "");
}

/** The error of an answer. */
export function answerError(
  code: AnswerCode,
  call: CallName,
  more: Pick<OpenBaoErrorInit, "status" | "retryAfterMs" | "cause"> = {},
): OpenBaoError {
  const { errorClass, problem, advice } = meaningFor<CallName>(MEANINGS[code], call);
  return new OpenBaoError({ code, errorClass, message: problem, advice, ...more });
}

/** A transport failure keeps its code, class and message. */
export function fromTransport(error: TransportError): OpenBaoError {
  const { code, errorClass, message, advice } = error;
  return new OpenBaoError({ code, errorClass, message, advice, cause: error });
}

/** The call was not made, because the last ones failed with `cause`. */
export function circuitOpenError(cause: OpenBaoError): OpenBaoError {
  return new OpenBaoError({
    code: "circuit_open",
    errorClass: cause.errorClass === "timeout" ? "openbao_unavailable" : cause.errorClass,
    message: `OpenBao was not called, because the last calls failed: ${cause.message}`,
    advice: cause.advice,
    cause,
  });
}
