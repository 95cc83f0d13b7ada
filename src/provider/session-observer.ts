/**
 * What logins and renewals leave in metrics and logs.
 *
 * @module Translates the session's reports; decides nothing about the token.
 */
import type { SessionObserver, SessionReport } from "../openbao/auth/session.ts";
import type { SessionHealth } from "../openbao/auth/session-health.ts";
import type { FailureLog } from "../telemetry/failure-log.ts";
import type { LogEvent } from "../telemetry/log-event.ts";
import { errorFields } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { type PartState, READY } from "./readiness.ts";

export interface SessionObserverOptions {
  readonly metrics: Metrics;
  readonly failures: FailureLog;
  readonly method: string;
}

export function sessionObserver({ metrics, failures, method }: SessionObserverOptions): SessionObserver {
  const tell = (event: LogEvent, { status, error, durationMs }: SessionReport): void => {
    const fields = { method, durationMs };
    if (status === "ok") {
      failures.succeeded(event, fields);
    } else {
      failures.failed(event, { ...fields, ...errorFields(error) });
    }
  };
  return {
    onLogin: (report) => {
      metrics.authLogin.increment({ status: report.error?.errorClass ?? "ok" });
      tell("auth.login", report);
    },
    onRenewal: (report) => {
      metrics.authRenewal.increment({ status: report.error?.errorClass ?? "ok" });
      tell("auth.renewal", report);
    },
  };
}

/** The session as a part of `/ready`. A token that still serves is ready, even while its renewal fails. */
export function sessionPart({ state, errorClass }: SessionHealth): PartState {
  return state === "ok" || state === "failing" ? { ...READY, errorClass } : { state, errorClass };
}
