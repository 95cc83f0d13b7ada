/** @module A JWT from an OAuth2 token endpoint by the client-credentials grant (RFC 6749 section 4.4, RFC 8707). */
import * as v from "valibot";
import type { Clock } from "../../base/clock.ts";
import type { ProviderErrorInit } from "../../base/error-class.ts";
import { parseJsonObject } from "../../base/parse-json.ts";
import { Secret } from "../../base/secret.ts";
import { TransportError } from "../../http/errors.ts";
import type { HttpResponse, HttpTransport } from "../../http/https.ts";
import { type AuthCodeOf, AuthError } from "./errors.ts";
import { MAX_JWT_BYTES } from "./jwt-claims.ts";
import { type CredentialObserver, type JwtSource, observed } from "./jwt-method.ts";
import { readSecretFile } from "./secret-file.ts";

export type ClientAuthMethod = keyof typeof CLIENT_AUTHENTICATION;

export interface OAuth2SourceOptions {
  /** For the token endpoint alone, with its own CA bundle. */
  readonly transport: HttpTransport;
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecretFile: string;
  readonly authMethod: ClientAuthMethod;
  readonly scopes: readonly string[];
  /** Empty: none is asked for. */
  readonly audience: string;
  readonly resources: readonly string[];
  readonly timeoutMs: number;
  readonly serviceUid: number;
  readonly clock: Clock;
  readonly observer?: CredentialObserver;
}

const MAX_SECRET_BYTES = 4096;
const MAX_REPLY_BYTES = 65_536;

/** RFC 6749 section 5.1. `token_type` is compared without regard to case. */
const tokenReply = v.object({
  access_token: v.pipe(v.string(), v.regex(/^[\x21-\x7e]+$/), v.maxLength(MAX_JWT_BYTES)),
  token_type: v.pipe(v.string(), v.regex(/^bearer$/i)),
});

/** RFC 6749 section 2.3.1: how the client proves who it is. */
const CLIENT_AUTHENTICATION = {
  client_secret_basic: (clientId: string, secret: string) => ({
    headers: { Authorization: `Basic ${btoa(`${formEncoded(clientId)}:${formEncoded(secret)}`)}` },
    fields: {},
  }),
  client_secret_post: (clientId: string, secret: string) => ({
    headers: {},
    fields: { client_id: clientId, client_secret: secret },
  }),
} as const;

export function oauth2Source(options: OAuth2SourceOptions): JwtSource {
  const { transport, tokenUrl } = options;

  const requestToken = async (secret: Secret, signal: AbortSignal): Promise<Secret> => {
    const { headers, fields } = CLIENT_AUTHENTICATION[options.authMethod](options.clientId, secret.expose());
    const form = new URLSearchParams({ grant_type: "client_credentials", ...fields });
    if (options.scopes.length > 0) {
      form.set("scope", options.scopes.join(" "));
    }
    if (options.audience !== "") {
      form.set("audience", options.audience);
    }
    for (const resource of options.resources) {
      form.append("resource", resource);
    }
    const response = await transport
      .request({
        method: "POST",
        url: tokenUrl,
        headers: {
          "Content-Type": "application/x-www-form-urlencoded",
          Accept: "application/json",
          ...headers,
        },
        body: form.toString(),
        signal,
        timeoutMs: options.timeoutMs,
        maxBytes: MAX_REPLY_BYTES,
      })
      .catch((error: unknown) => {
        throw oauth2TransportError(error);
      });
    return accessTokenOf(response);
  };

  return {
    what: "auth.jwt.oauth2: the access token",
    isStored: false,
    fix: "configure the authorization server to issue this client signed JWTs (RFC 9068) that OpenBao's role accepts",
    get: async (signal) => {
      const secret = await readSecretFile(options.clientSecretFile, {
        field: "auth.jwt.oauth2.clientSecretFile",
        what: "the client secret",
        maxBytes: MAX_SECRET_BYTES,
        serviceUid: options.serviceUid,
      });
      return observed("oauth2_token", options, () => requestToken(secret, signal));
    },
  };
}

/** The access token of an answer. The body is zeroed. */
function accessTokenOf({ status, body }: HttpResponse): Secret {
  const document = parseJsonObject(body);
  body.fill(0);
  if (status !== 200) {
    throw oauth2Error(refusalOf(status, document?.["error"]));
  }
  const parsed = v.safeParse(tokenReply, document);
  if (!parsed.success) {
    throw oauth2Error("oauth2_reply_malformed");
  }
  return new Secret(parsed.output.access_token);
}

/** application/x-www-form-urlencoded, as RFC 6749 appendix B wants it for both halves of the Basic header. */
function formEncoded(text: string): string {
  return new URLSearchParams({ x: text }).toString().slice(2);
}

type AnsweredCode = Exclude<AuthCodeOf<"oauth2_">, "oauth2_unreachable">;

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
function refusalOf(status: number, error: unknown): AnsweredCode {
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

const MEANINGS: Readonly<Record<AnsweredCode, Omit<ProviderErrorInit<AnsweredCode>, "code">>> = {
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

function oauth2Error(code: AnsweredCode): AuthError {
  return new AuthError({ code, ...MEANINGS[code] });
}

/** A failed connection to the endpoint, in the transport's words. */
function oauth2TransportError(error: unknown): unknown {
  if (!(error instanceof TransportError)) {
    return error;
  }
  const { errorClass, message, advice } = error;
  return new AuthError({ code: "oauth2_unreachable", errorClass, message, advice, cause: error });
}
