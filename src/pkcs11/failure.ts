/** @module How the helper process failed, as it tells the provider: a code, a PKCS#11 step and its return value. */

export const DEVICE_FAILURES = [
  "addon_missing",
  "addon_unsafe",
  "addon_broken",
  "module_missing",
  "module_unsafe",
  "module_broken",
  "token_missing",
  "token_ambiguous",
  "token_failed",
  "sessions_exhausted",
  "pin_locked",
  "pin_final_try",
  "pin_tried_before",
  "pin_not_initialized",
  "pin_refused",
  "pin_expired",
  "login_failed",
  "key_missing",
  "key_ambiguous",
  "key_type_mismatch",
  "key_mismatch",
  "key_always_authenticate",
  "mechanism_missing",
  "sign_failed",
  "request_invalid",
  "unexpected",
] as const;

export const CONNECTION_FAILURES = [
  "name_not_found",
  "connect_refused",
  "connect_failed",
  "connection_cut",
  "server_untrusted",
  "server_name",
  "server_validity",
  "server_is_ca",
  "server_certificate",
  "client_refused",
  "no_shared_scheme",
  "tls_failed",
  "answer_too_large",
  "answer_invalid",
] as const;

export const HELPER_FAILURES = [...DEVICE_FAILURES, ...CONNECTION_FAILURES] as const;

export type DeviceFailureCode = (typeof DEVICE_FAILURES)[number];
type ConnectionFailureCode = (typeof CONNECTION_FAILURES)[number];
export type HelperFailureCode = DeviceFailureCode | ConnectionFailureCode;

/** Where the helper is; the last one reported tells what a killed helper was doing. */
export const HELPER_STAGES = ["module", "token", "pin", "key", "connect"] as const;

export type HelperStage = (typeof HELPER_STAGES)[number];

/** Thrown inside the helper. `detail` is a PKCS#11 function and return value, `C_Sign CKR_DEVICE_ERROR`, or nothing. */
export class HelperFailure extends Error {
  readonly code: HelperFailureCode;
  readonly detail: string | undefined;

  constructor(code: HelperFailureCode, detail?: string, cause?: unknown) {
    super(code, cause === undefined ? undefined : { cause });
    this.name = "HelperFailure";
    this.code = code;
    this.detail = detail;
  }
}

/** Thrown to the caller of a request: its connection failed, not the token. */
export class ConnectionFailure extends Error {
  readonly code: ConnectionFailureCode | "timeout" | "canceled";

  constructor(code: ConnectionFailureCode | "timeout" | "canceled") {
    super(code);
    this.name = "ConnectionFailure";
    this.code = code;
  }
}

export function isConnectionFailure(code: HelperFailureCode): code is ConnectionFailureCode {
  return CONNECTION_FAILURES.some((each) => each === code);
}
