/** @module OpenBao calls with the session's token. */
import type { OpenBaoCall, OpenBaoReply } from "../client/attempt.ts";
import type { OpenBaoClient } from "../client/client.ts";
import { type OpenBaoCode, OpenBaoError } from "../client/errors.ts";
import type { TokenSession } from "./session.ts";
import type { Token } from "./token.ts";

export type AuthenticatedClient = ReturnType<typeof createAuthenticatedClient>;

/** A standby may deny a token that it does not know yet. */
const YOUNG_TOKEN_LAG: OpenBaoCode = "permission_denied";

export function createAuthenticatedClient(
  openbao: OpenBaoClient,
  session: Pick<TokenSession, "present" | "token" | "replace" | "isYoung" | "accepted">,
) {
  const callWith = (token: Token, call: Omit<OpenBaoCall, "token">): Promise<OpenBaoReply> =>
    openbao.call({
      ...call,
      token: token.secret,
      lagCodes: {
        has: (code) =>
          call.lagCodes?.has(code) === true || (code === YOUNG_TOKEN_LAG && session.isYoung(token)),
      },
    });

  return {
    /** @throws OpenBaoError of the call, or ProviderError of the login that it needed. */
    call: async (call: Omit<OpenBaoCall, "token">): Promise<OpenBaoReply> => {
      let token = session.present() ?? (await session.token(call.signal));
      let reply: OpenBaoReply;
      try {
        reply = await callWith(token, call);
      } catch (error) {
        const denied = error instanceof OpenBaoError && error.code === "permission_denied";
        const next = denied ? await session.replace(token, call.signal) : undefined;
        if (next === undefined) {
          throw error;
        }
        token = next;
        reply = await callWith(token, call);
      }
      session.accepted(token);
      return reply;
    },
  };
}
