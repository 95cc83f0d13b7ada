/** @module Obtains a token and keeps it. */
import type { Clock } from "../../base/clock.ts";
import { stopReason, withDeadline } from "../../base/deadline.ts";
import { formatDuration } from "../../base/duration.ts";
import type { ProviderError } from "../../base/error-class.ts";
import { singleFlight } from "../../base/single-flight.ts";
import type { OpenBaoClient } from "../client/client.ts";
import { OpenBaoError } from "../client/errors.ts";
import { AuthError, loginError, renewalError } from "./errors.ts";
import type { LoginMethod } from "./login-method.ts";
import {
  EMPTY_SESSION,
  mayReplace,
  nextDuty,
  nextSessionState,
  type SessionEvent,
  type SessionHealth,
  type SessionRules,
  type SessionState,
  sessionHealth,
  usableToken,
  YOUNG_MS,
} from "./session-state.ts";
import type { Token } from "./token.ts";
import { logIn, renewSelf, revokeSelf } from "./token-calls.ts";

/** How a login or renewal ended, for metrics and logs. */
export interface SessionReport {
  readonly status: "ok" | "failed";
  readonly error: ProviderError | undefined;
  readonly durationMs: number;
}

export interface SessionObserver {
  readonly onLogin?: (report: SessionReport) => void;
  readonly onRenewal?: (report: SessionReport) => void;
}

interface TokenSessionOptions extends SessionRules {
  readonly openbao: OpenBaoClient;
  readonly method: LoginMethod;
  readonly clock: Clock;
  /** `auth.tokenRenewalIncrement`. */
  readonly renewalIncrementMs: number;
  /** For one login, its credentials included. */
  readonly loginTimeoutMs: number;
  /** `openbao.timeout`: after it no call uses a replaced token. */
  readonly callTimeoutMs: number;
  readonly observer?: SessionObserver;
}

/** The loop looks at the clock this often, since a timer stands still while the machine sleeps. */
const LONGEST_NAP_MS = 15_000;

export class TokenSession {
  #state: SessionState = EMPTY_SESSION;
  #credentialExpiresAtMs: number | undefined;
  #nap: AbortController | undefined;
  /** Replaced tokens that calls in progress may still use, until they are revoked. */
  readonly #replaced = new Set<Token>();
  readonly #stop = new AbortController();
  readonly #options: TokenSessionOptions;
  readonly #logIn: (signal?: AbortSignal) => Promise<Token>;

  constructor(options: TokenSessionOptions) {
    this.#options = options;
    this.#logIn = singleFlight((signal) => this.#logInOnce(signal));
  }

  /** The token to make a call with; logs in when there is none. @throws ProviderError, at once when the last attempt is too recent. */
  async token(signal: AbortSignal): Promise<Token> {
    const usable = usableToken(this.#state, this.#nowMs());
    if (usable !== undefined) {
      return usable;
    }
    if (this.#state.kind === "closed") {
      throw closedError();
    }
    const { error, notBeforeMs } = this.#state.trouble;
    if (error !== undefined && this.#nowMs() < notBeforeMs) {
      throw error;
    }
    return this.#waitForLogin(signal);
  }

  /** The token that there is now, without a login. */
  present(): Token | undefined {
    return usableToken(this.#state, this.#nowMs());
  }

  /** Another token than one that was denied; `undefined` while it is too early for a login. @throws ProviderError of the login. */
  async replace(denied: Token, signal: AbortSignal): Promise<Token | undefined> {
    const current = usableToken(this.#state, this.#nowMs());
    if (current !== undefined && current.secret !== denied.secret) {
      return current;
    }
    if (!mayReplace(this.#state, this.#nowMs())) {
      return undefined;
    }
    this.#apply({ kind: "denied" });
    return this.#waitForLogin(signal);
  }

  /** Whether a denial may only mean that a standby does not know the token yet. */
  isYoung(token: Token): boolean {
    return this.#nowMs() - token.issuedAtMs < YOUNG_MS;
  }

  /** A call with the token succeeded; costs nothing while all is well. */
  accepted(token: Token): void {
    const state = this.#state;
    if (state.kind === "holding" && state.denials > 0 && state.token.secret === token.secret) {
      this.#apply({ kind: "accepted" });
    }
  }

  health(): SessionHealth {
    return sessionHealth(this.#state, this.#nowMs(), this.#credentialExpiresAtMs);
  }

  /** Logs in and keeps the token alive until the signal aborts or the session is closed. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const next = nextDuty(this.#state, this.#nowMs());
      if (next === undefined || signal.aborted) {
        return;
      }
      const waitMs = next.atMs - this.#nowMs();
      if (waitMs > 0) {
        await this.#rest(Math.min(waitMs, LONGEST_NAP_MS), signal);
      } else if (next.duty === "login") {
        // Its failure is in the state and was reported.
        await this.#logIn(signal).catch(() => {});
      } else {
        await this.#renew(next.token, signal);
      }
    }
  }

  /** No more tokens; those still alive are revoked, within `timeoutMs`. Never throws. */
  async close(timeoutMs: number): Promise<void> {
    const token = usableToken(this.#state, this.#nowMs());
    const alive = [...this.#replaced, ...(token === undefined ? [] : [token])];
    this.#apply({ kind: "closed" });
    this.#replaced.clear();
    this.#stop.abort();
    using deadline = withDeadline(undefined, timeoutMs);
    await Promise.all(alive.map((each) => revokeSelf(this.#options.openbao, each, deadline.signal)));
  }

  async #waitForLogin(signal: AbortSignal): Promise<Token> {
    try {
      return await this.#logIn(signal);
    } catch (error) {
      throw signal.aborted ? abandonedError(signal, this.#options.loginTimeoutMs) : error;
    }
  }

  async #logInOnce(signal: AbortSignal): Promise<Token> {
    const { method, openbao, loginTimeoutMs: timeoutMs, observer } = this.#options;
    const report = this.#reporter(observer?.onLogin);
    using deadline = withDeadline(signal, timeoutMs);
    try {
      const terms = { openbao, method, timeoutMs, askedAtMs: this.#nowMs() };
      const { token, credentialExpiresAtMs } = await logIn(terms, deadline.signal);
      const previous = usableToken(this.#state, this.#nowMs());
      this.#apply({ kind: "logged_in", token });
      if (this.#state.kind === "closed") {
        await revokeSelf(openbao, token, deadline.signal);
        throw closedError();
      }
      this.#credentialExpiresAtMs = credentialExpiresAtMs;
      if (previous !== undefined) {
        void this.#revokeLater(previous);
      }
      report();
      return token;
    } catch (thrown) {
      // A timeout of the call itself says who did not answer.
      const isSaid = thrown instanceof OpenBaoError && thrown.code === "timeout";
      const cause = deadline.signal.aborted && !isSaid ? abandonedError(deadline.signal, timeoutMs) : thrown;
      const error = loginError(cause, method.mountPath);
      // No caller waits any more: that proves nothing about OpenBao or the credentials.
      if (!signal.aborted && this.#state.kind !== "closed") {
        this.#apply({ kind: "login_failed", error });
        report(error);
      }
      throw error;
    }
  }

  async #renew(token: Token, signal: AbortSignal): Promise<void> {
    const { openbao, renewalIncrementMs: incrementMs, observer } = this.#options;
    const report = this.#reporter(observer?.onRenewal);
    try {
      const renewed = await renewSelf(openbao, token, { incrementMs, askedAtMs: this.#nowMs() }, signal);
      this.#apply({ kind: "renewed", token: renewed });
      report();
    } catch (thrown) {
      if (signal.aborted) {
        return;
      }
      const error = renewalError(thrown);
      this.#apply({ kind: "renewal_failed", error, hopeless: isHopeless(thrown) });
      report(error);
    }
  }

  /** Reports how something that begins here ended. */
  #reporter(receive: SessionObserver["onLogin"]): (error?: ProviderError) => void {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    return (error) => {
      const status = error === undefined ? "ok" : "failed";
      receive?.({ status, error, durationMs: clock.monotonicMs() - startedMs });
    };
  }

  /** Revokes a replaced token once no call can use it. */
  async #revokeLater(token: Token): Promise<void> {
    this.#replaced.add(token);
    try {
      await this.#options.clock.sleep(this.#options.callTimeoutMs, this.#stop.signal);
    } catch {
      return;
    }
    if (this.#replaced.delete(token) && this.#nowMs() < token.expiresAtMs) {
      await revokeSelf(this.#options.openbao, token, this.#stop.signal);
    }
  }

  /** Sleeps until something changes, or for that long. */
  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    this.#nap = new AbortController();
    // Woken or rested: the loop looks again.
    await this.#options.clock.sleep(ms, AbortSignal.any([signal, this.#nap.signal])).catch(() => {});
  }

  #apply(event: SessionEvent): void {
    const before = this.#state;
    this.#state = nextSessionState(before, event, this.#nowMs(), this.#options);
    if (this.#state !== before) {
      this.#nap?.abort();
    }
  }

  #nowMs(): number {
    return this.#options.clock.bootMs();
  }
}

/** OpenBao said no to the renewal, so asking again is no use. */
function isHopeless(thrown: unknown): boolean {
  return (
    thrown instanceof OpenBaoError &&
    (thrown.code === "not_renewable" || (thrown.status !== undefined && thrown.status < 429))
  );
}

function closedError(): AuthError {
  return new AuthError({
    code: "session_closed",
    errorClass: "canceled",
    message: "the provider is stopping and has given up its token",
  });
}

function abandonedError(signal: AbortSignal, timeoutMs: number): AuthError {
  const reason = stopReason(signal);
  return new AuthError({
    code: reason,
    errorClass: reason,
    ...(reason === "timeout"
      ? {
          message: `the login was not answered within ${formatDuration(timeoutMs)}`,
          advice:
            "check whether OpenBao is overloaded or a firewall drops its packets; auth.loginTimeout limits a login",
        }
      : { message: "the login was cancelled" }),
  });
}
