/** @module Looks at the stored credential between logins, so that one that will fail is known while the token still works. */
import type { Clock } from "../../base/clock.ts";
import { withDeadline } from "../../base/deadline.ts";
import type { OpenBaoClient } from "../client/client.ts";
import type { CredentialState, LoginMethod } from "./login-method.ts";
import type { TokenSession } from "./session.ts";

interface CredentialWatchOptions {
  readonly method: LoginMethod;
  readonly session: Pick<TokenSession, "present">;
  readonly openbao: OpenBaoClient;
  readonly clock: Clock;
  /** `openbao.timeout`. */
  readonly timeoutMs: number;
  /** Called after each look; `error` is absent when the next login can be expected to succeed. */
  readonly observer: (error?: unknown) => void;
}

const EVERY_MS = 60_000;
/** Until there is a token, for the methods that need one. */
const FIRST_MS = 5000;

/** `undefined` when the method's credential is made for each login. */
export function credentialWatch(options: CredentialWatchOptions) {
  const { method, session, openbao, clock, timeoutMs, observer } = options;
  const { inspect } = method;
  if (inspect === undefined) {
    return undefined;
  }
  let state: CredentialState = {};
  const look = async (signal: AbortSignal): Promise<void> => {
    using deadline = withDeadline(signal, timeoutMs);
    try {
      state = await inspect({ openbao, token: session.present(), signal: deadline.signal });
      observer();
    } catch (error) {
      if (!signal.aborted) {
        state = {};
        observer(error);
      }
    }
  };
  return {
    /** What the last look found. */
    state: () => state,
    /** Looks until the signal aborts. Never throws. */
    run: async (signal: AbortSignal): Promise<void> => {
      for (let pauseMs = FIRST_MS; !signal.aborted; pauseMs = EVERY_MS) {
        await clock.sleep(pauseMs, signal).then(
          () => look(signal),
          () => {},
        );
      }
    },
  };
}
