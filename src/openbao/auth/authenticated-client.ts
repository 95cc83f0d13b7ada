/** @module OpenBao calls with the session's token. */
import type { OpenBaoCall, OpenBaoReply } from "../client/attempt.ts";
import type { OpenBao } from "../client/client.ts";
import { type OpenBaoCode, OpenBaoError } from "../client/errors.ts";
import type { TokenSession } from "./session.ts";
import type { Token } from "./token.ts";

export interface AuthenticatedClient {
  /** @throws OpenBaoError of the call, or ProviderError of the login that it needed. */
  readonly call: (call: Omit<OpenBaoCall, "token">) => Promise<OpenBaoReply>;
}

/** A standby may deny a token that it does not know yet. */
const YOUNG_TOKEN_LAG: OpenBaoCode = "permission_denied";

export function createAuthenticatedClient(
  openbao: OpenBao,
  session: Pick<TokenSession, "token" | "replace" | "isYoung" | "accepted">,
): AuthenticatedClient {
  const callWith = async (token: Token, call: Omit<OpenBaoCall, "token">): Promise<OpenBaoReply> => {
    const lagCodes = session.isYoung(token)
      ? new Set([...(call.lagCodes ?? []), YOUNG_TOKEN_LAG])
      : call.lagCodes;
    const reply = await openbao.call({
      ...call,
      token: token.secret,
      ...(lagCodes === undefined ? {} : { lagCodes }),
    });
    session.accepted(token);
    return reply;
  };

  return {
    call: async (call) => {
      const token = await session.token(call.signal);
      try {
        return await callWith(token, call);
      } catch (error) {
        const denied = error instanceof OpenBaoError && error.code === "permission_denied";
        const next = denied ? await session.replace(token, call.signal) : undefined;
        if (next === undefined) {
          throw error;
        }
        return callWith(next, call);
      }
    },
  };
}
