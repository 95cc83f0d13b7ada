/** @module The calls that make, prolong and end a token. */
import { type ProviderError } from "../../base/error-class.ts";
import type { OpenBaoClient } from "../client/client.ts";
import { answerError } from "../client/errors.ts";
import { AuthError } from "./errors.ts";
import type { LoginMethod } from "./login-method.ts";
import { decodeGrant, type Grant, renewedToken, type Token, tokenOf } from "./token.ts";

const RENEW_PATH = "auth/token/renew-self";
const REVOKE_PATH = "auth/token/revoke-self";

interface LoginTerms {
  readonly openbao: OpenBaoClient;
  readonly method: LoginMethod;
  readonly timeoutMs: number;
  /** When the login began, on the clock of the token's lifetime. */
  readonly askedAtMs: number;
}

/** Logs in. A token that would fail later is revoked and refused now. @throws OpenBaoError, AuthError, or what the method throws. */
export async function logIn({ openbao, method, timeoutMs, askedAtMs }: LoginTerms, signal: AbortSignal) {
  const { operation, mountPath, repeatable: idempotent } = method;
  const { body, credentialExpiresAtMs, loginClient = openbao, release } = await method.prepare(signal);
  const path = `${mountPath}/login`;
  const { auth } = await loginClient
    .call({ operation, method: "POST", path, body: body.expose(), idempotent, signal, timeoutMs })
    .finally(release);
  const grant = decodeGrant(auth);
  if (grant === undefined) {
    throw answerError("reply_malformed", { operation, path });
  }
  const granted = tokenOf(grant, askedAtMs);
  const token = method.renewal === "login" ? { ...granted, renewable: false } : granted;
  const problem = unfitness(grant, mountPath);
  if (problem !== undefined) {
    await revokeSelf(openbao, token, signal);
    throw problem;
  }
  return { token, credentialExpiresAtMs };
}

function unfitness({ uses, ttlMs }: Grant, mountPath: string): ProviderError | undefined {
  if (uses > 0) {
    return new AuthError({
      code: "token_use_limit",
      errorClass: "auth_failed",
      message: `the role at ${mountPath} issues tokens that are valid for only ${uses} calls`,
      advice: `bao write ${mountPath}/role/ROLE token_num_uses=0`,
    });
  }
  return ttlMs > 0
    ? undefined
    : new AuthError({
        code: "token_endless",
        errorClass: "auth_failed",
        message: `the role at ${mountPath} issues tokens that never expire`,
        advice: `bao write ${mountPath}/role/ROLE token_ttl=20m token_max_ttl=1h`,
      });
}

/** Asks for `incrementMs` more, of which OpenBao may grant less; the result tells how much. @throws OpenBaoError */
export async function renewSelf(
  openbao: OpenBaoClient,
  token: Token,
  { incrementMs, askedAtMs }: { readonly incrementMs: number; readonly askedAtMs: number },
  signal: AbortSignal,
): Promise<Token> {
  const operation = "token_renew_self";
  const { auth } = await openbao.call({
    operation,
    method: "POST",
    path: RENEW_PATH,
    body: JSON.stringify({ increment: `${Math.ceil(incrementMs / 1000)}s` }),
    token: token.secret,
    idempotent: true,
    signal,
  });
  const grant = decodeGrant(auth);
  if (grant === undefined) {
    throw answerError("reply_malformed", { operation, path: RENEW_PATH });
  }
  return renewedToken(token, grant, askedAtMs);
}

/** Best effort: a token that cannot be revoked ends by itself. Never throws. */
export async function revokeSelf(openbao: OpenBaoClient, token: Token, signal: AbortSignal): Promise<void> {
  // OpenBao cannot revoke a batch token.
  if (token.kind === "service") {
    await openbao
      .call({
        operation: "token_revoke_self",
        method: "POST",
        path: REVOKE_PATH,
        token: token.secret,
        idempotent: true,
        signal,
      })
      .catch(() => {});
  }
}
