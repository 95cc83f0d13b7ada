/** @module What can go wrong while a token is obtained. */
import { type ErrorClass, ProviderError } from "../../base/error-class.ts";
import { type OpenBaoCode, OpenBaoError } from "../client/errors.ts";

type AuthCode =
  | OpenBaoCode
  | "jwt_malformed"
  | "jwt_expired"
  | "jwt_expires_soon"
  | "jwt_not_yet_valid"
  | "jwt_issued_in_future"
  | "jwt_wrong_issuer"
  | "jwt_wrong_audience"
  | "jwt_wrong_subject"
  | "secret_malformed"
  | "secret_id_wrapped"
  | "secret_id_gone"
  | "secret_id_foreign"
  | "wrapping_foreign"
  | "certificate_malformed"
  | "certificate_key_mismatch"
  | "certificate_expired"
  | "certificate_expires_soon"
  | "certificate_not_yet_valid"
  | "certificate_wrong_usage"
  | "certificate_chain_broken"
  | "certificate_weak"
  /** What a token endpoint said: RFC 6749 section 5.2, RFC 8707 section 2, and what is none of these codes. */
  | "oauth2_invalid_request"
  | "oauth2_invalid_client"
  | "oauth2_invalid_grant"
  | "oauth2_unauthorized_client"
  | "oauth2_unsupported_grant_type"
  | "oauth2_invalid_scope"
  | "oauth2_invalid_target"
  | "oauth2_refused"
  | "oauth2_rate_limited"
  | "oauth2_unavailable"
  | "oauth2_reply_malformed"
  | "oauth2_unreachable"
  /** What a SPIFFE agent said, or did not say. */
  | "spiffe_denied"
  | "spiffe_refused"
  | "spiffe_unreachable"
  | "spiffe_timeout"
  | "spiffe_wrong_identity"
  | "token_use_limit"
  | "token_endless"
  | "login_failed"
  | "session_closed";

/** The codes of one subject, such as `jwt_`. */
export type AuthCodeOf<Prefix extends string> = Extract<AuthCode, `${Prefix}${string}`>;

export class AuthError extends ProviderError<AuthCode> {}

/** Codes of an answer to a login that say "you are not let in", whatever class they have for other calls. */
const REFUSALS: ReadonlySet<OpenBaoCode> = new Set([
  "permission_denied",
  "mount_missing",
  "not_found",
  "namespace_missing",
  "request_refused",
]);

/** An error of this layer for whatever a login threw; what has a class of its own keeps it. */
export function loginError(thrown: unknown, mountPath: string): ProviderError {
  const what = `login at ${mountPath}`;
  if (!(thrown instanceof OpenBaoError)) {
    return known(thrown, what);
  }
  const { code, errorClass, advice } = thrown;
  if (!REFUSALS.has(code)) {
    return recoded(thrown, what, errorClass, advice);
  }
  const lookAtRole = `check that the auth method is mounted at ${mountPath} and that its role lets this node in: bao auth list, bao list ${mountPath}/role`;
  return recoded(thrown, what, "auth_failed", code === "namespace_missing" ? advice : lookAtRole);
}

/** The same for a renewal. A token that OpenBao no longer knows is no failure of the policy. */
export function renewalError(thrown: unknown): ProviderError {
  if (thrown instanceof OpenBaoError) {
    const errorClass = thrown.code === "permission_denied" ? "auth_expired" : thrown.errorClass;
    return recoded(thrown, "renewal of the token", errorClass, thrown.advice);
  }
  return known(thrown, "renewal of the token");
}

function recoded(
  error: OpenBaoError,
  what: string,
  errorClass: ErrorClass,
  advice: string | undefined,
): AuthError {
  const message = `${what}: ${error.message}`;
  return new AuthError({ code: error.code, errorClass, message, advice, cause: error });
}

function known(thrown: unknown, what: string): ProviderError {
  return thrown instanceof ProviderError
    ? thrown
    : new AuthError({
        code: "login_failed",
        errorClass: "unknown",
        message: `${what} failed for an unknown reason`,
        cause: thrown,
      });
}
