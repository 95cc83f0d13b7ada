/** @module What a token endpoint's refusals mean. */
import type { ErrorClass } from "../../base/error-class.ts";
import { TransportError } from "../../http/errors.ts";
import { AuthError, type OAuth2Code } from "./errors.ts";

type AnsweredCode = Exclude<OAuth2Code, "oauth2_unreachable">;

const KNOWN_CODES: Readonly<Record<string, AnsweredCode>> = {
  invalid_request: "oauth2_invalid_request",
  invalid_client: "oauth2_invalid_client",
  invalid_grant: "oauth2_invalid_grant",
  unauthorized_client: "oauth2_unauthorized_client",
  unsupported_grant_type: "oauth2_unsupported_grant_type",
  invalid_scope: "oauth2_invalid_scope",
  invalid_target: "oauth2_invalid_target",
};

/** The code of an answer that brought no token. `error` is the answer's own code, if it has one. */
export function refusalOf(status: number, error: unknown): AnsweredCode {
  if (status === 429) {
    return "oauth2_rate_limited";
  }
  if (status >= 500) {
    return "oauth2_unavailable";
  }
  if (typeof error === "string" && Object.hasOwn(KNOWN_CODES, error)) {
    return KNOWN_CODES[error] ?? "oauth2_refused";
  }
  return status === 401 ? "oauth2_invalid_client" : "oauth2_refused";
}

interface Meaning {
  readonly errorClass: ErrorClass;
  readonly message: string;
  readonly advice?: string;
}

const MEANINGS: Readonly<Record<AnsweredCode, Meaning>> = {
  oauth2_invalid_request: {
    errorClass: "auth_failed",
    message: "the token endpoint rejects the request: a parameter is missing, repeated or not supported",
    advice:
      "compare auth.jwt.oauth2.audience, resources and authMethod with what the authorization server supports",
  },
  oauth2_invalid_client: {
    errorClass: "auth_failed",
    message:
      "the token endpoint rejects the client: unknown client, wrong secret, or wrong authentication method",
    advice:
      "compare auth.jwt.oauth2.clientId, the secret in clientSecretFile and authMethod with the client's registration",
  },
  oauth2_invalid_grant: {
    errorClass: "auth_failed",
    message: "the token endpoint refuses the client-credentials grant as invalid",
    advice: "see the authorization server's log",
  },
  oauth2_unauthorized_client: {
    errorClass: "auth_failed",
    message: "this client may not use the client-credentials grant",
    advice: "allow the grant type client_credentials in the client's registration",
  },
  oauth2_unsupported_grant_type: {
    errorClass: "auth_failed",
    message: "the token endpoint does not support the client-credentials grant",
    advice: "check auth.jwt.oauth2.tokenUrl",
  },
  oauth2_invalid_scope: {
    errorClass: "auth_failed",
    message: "the token endpoint refuses a scope of auth.jwt.oauth2.scopes",
    advice: "ask only for scopes of the client's registration",
  },
  oauth2_invalid_target: {
    errorClass: "auth_failed",
    message: "the token endpoint refuses a resource of auth.jwt.oauth2.resources, or the audience",
    advice: "ask only for resources that the client is registered for",
  },
  oauth2_refused: {
    errorClass: "auth_failed",
    message: "the token endpoint refuses the request without a code of RFC 6749",
    advice: "check that auth.jwt.oauth2.tokenUrl is the token endpoint; see the authorization server's log",
  },
  oauth2_rate_limited: {
    errorClass: "openbao_rate_limited",
    message: "the token endpoint rejects the request at the moment: too many requests",
  },
  oauth2_unavailable: {
    errorClass: "openbao_unavailable",
    message: "the token endpoint answered with an internal error",
    advice: "see the authorization server's log",
  },
  oauth2_reply_malformed: {
    errorClass: "auth_failed",
    message: "the token endpoint's answer contains no Bearer access token",
    advice: "check that auth.jwt.oauth2.tokenUrl is the token endpoint",
  },
};

export function oauth2Error(code: AnsweredCode): AuthError {
  return new AuthError({ code, ...MEANINGS[code] });
}

/** A failed connection to the endpoint, in the transport's words. */
export function oauth2TransportError(error: unknown): unknown {
  if (!(error instanceof TransportError)) {
    return error;
  }
  const { errorClass, message, advice } = error;
  return new AuthError({
    code: "oauth2_unreachable",
    errorClass,
    message,
    ...(advice === undefined ? {} : { advice }),
    cause: error,
  });
}
