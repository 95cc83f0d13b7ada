/** @module Whether OpenBao lets a fresh secret id in, before it takes the place of one that works. */
import type { Clock } from "../../base/clock.ts";
import { ProviderError } from "../../base/error-class.ts";
import type { OpenBao } from "../client/client.ts";
import { AuthError, loginError } from "./errors.ts";
import type { LoginMethod } from "./login-method.ts";
import { logIn, revokeSelf } from "./token-calls.ts";

export type SecretIdTrial =
  | { readonly kind: "let_in" }
  /** Nothing is known; the reason is for a warning. */
  | { readonly kind: "unknown"; readonly reason: string };

export interface SecretIdTrialOptions {
  readonly openbao: OpenBao;
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
