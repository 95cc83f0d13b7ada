/** @module Unwraps a secret id (openbao.org/docs/concepts/response-wrapping), and tries it before it replaces another. */
import * as v from "valibot";
import type { Clock } from "../../base/clock.ts";
import { ProviderError } from "../../base/error-class.ts";
import { Secret } from "../../base/secret.ts";
import type { OpenBaoClient } from "../client/client.ts";
import { answerError } from "../client/errors.ts";
import { AuthError, loginError } from "./errors.ts";
import type { LoginMethod } from "./login-method.ts";
import { logIn, revokeSelf } from "./token-calls.ts";

interface UnwrapOptions {
  readonly openbao: OpenBaoClient;
  readonly wrappingToken: Secret;
  /** `auth/approle`. */
  readonly mountPath: string;
  readonly roleName: string;
}

export type UnwrappedSecretId = Awaited<ReturnType<typeof unwrapSecretId>>;

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const lookupData = v.object({ creation_path: v.string() });
const unwrapData = v.object({
  secret_id: v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,4096}$/)),
  secret_id_ttl: v.optional(whole, 0),
  secret_id_num_uses: v.optional(whole, 0),
});

/**
 * The secret id of a wrapping token.
 * @throws AuthError `wrapping_foreign` when the token was not made for this role, which leaves it as it is; OpenBaoError
 * `wrapping_token_unknown` when it is used up or expired.
 */
export async function unwrapSecretId(
  { openbao, wrappingToken, mountPath, roleName }: UnwrapOptions,
  signal: AbortSignal,
) {
  const operation = "approle_unwrap";
  // Neither call is made twice: unwrapping works once, and a look that failed is for the operator to see.
  const common = { operation, method: "POST", idempotent: false, signal } as const;
  const body = JSON.stringify({ token: wrappingToken.expose() });
  const { data: origin } = await openbao.call({ ...common, path: "sys/wrapping/lookup", body });
  const lookup = v.safeParse(lookupData, origin);
  const wanted = `${mountPath}/role/${roleName}/secret-id`;
  if (!lookup.success || lookup.output.creation_path !== wanted) {
    throw new AuthError({
      code: "wrapping_foreign",
      errorClass: "auth_failed",
      message: `the wrapping token was not made by ${wanted}; it was not used`,
      advice: "do not use it: find out who put it there, then wrap the secret id again",
    });
  }
  const path = "sys/wrapping/unwrap";
  const { data } = await openbao.call({ ...common, path, body: "{}", token: wrappingToken });
  const unwrapped = v.safeParse(unwrapData, data);
  if (!unwrapped.success) {
    throw answerError("reply_malformed", { operation, path });
  }
  const { secret_id, secret_id_ttl, secret_id_num_uses } = unwrapped.output;
  // Of both numbers, 0 means without an end.
  return { secretId: new Secret(secret_id), ttlSeconds: secret_id_ttl, uses: secret_id_num_uses };
}

export type SecretIdTrial =
  | { readonly kind: "let_in" }
  /** Nothing is known; the reason is for a warning. */
  | { readonly kind: "unknown"; readonly reason: string };

interface SecretIdTrialOptions {
  readonly openbao: OpenBaoClient;
  /** Reads the fresh secret id. */
  readonly method: LoginMethod;
  readonly roleName: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/**
 * Logs in once, which uses one login up where these are counted. A trial that is interrupted counts as a transport failure: the
 * secret id comes out of its wrapping only once and is not to be lost.
 * @throws AuthError `secret_id_foreign` when OpenBao refuses the secret id.
 */
export async function trySecretId(
  { openbao, method, roleName, clock, timeoutMs }: SecretIdTrialOptions,
  signal: AbortSignal,
): Promise<SecretIdTrial> {
  try {
    const terms = { openbao, method, timeoutMs, askedAtMs: clock.bootMs() };
    const { token } = await logIn(terms, signal);
    await revokeSelf(openbao, token, signal);
    return { kind: "let_in" };
  } catch (thrown) {
    const { mountPath } = method;
    if (thrown instanceof ProviderError && thrown.code === "login_secret_refused") {
      throw new AuthError({
        code: "secret_id_foreign",
        errorClass: "auth_failed",
        message: `the secret id was unwrapped, but OpenBao rejects it together with the configured role id; nothing was replaced`,
        advice: `compare auth.approle.roleId with: bao read ${mountPath}/role/${roleName}/role-id, and auth.namespace or openbao.namespace with the one that the secret id was made in; then wrap another secret id`,
        cause: thrown,
      });
    }
    return { kind: "unknown", reason: loginError(thrown, mountPath).message };
  }
}
