/**
 * What asking somebody else than OpenBao for a credential leaves in metrics and logs.
 *
 * @module Translates the reports of an OAuth2 token endpoint or a SPIFFE Workload API, and of looks at a stored credential;
 * decides nothing about the login.
 */

import { errorClassOf } from "../base/error-class.ts";
import type { CredentialObserver } from "../openbao/auth/credential-report.ts";
import type { FailureLog } from "../telemetry/failure-log.ts";
import { errorFields } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export interface CredentialObserverOptions {
  readonly metrics: Metrics;
  readonly failures: FailureLog;
}

export function credentialObserver({ metrics, failures }: CredentialObserverOptions): CredentialObserver {
  return (operation, durationMs, error) => {
    metrics.openbaoRequests.increment({
      operation,
      status: error === undefined ? "ok" : errorClassOf(error),
    });
    metrics.openbaoDuration.observe({ operation }, durationMs / 1000);
    const fields = { operation, durationMs };
    if (error === undefined) {
      failures.succeeded("auth.credential", fields);
    } else {
      failures.failed("auth.credential", { ...fields, ...errorFields(error) });
    }
  };
}

export interface StoredCredentialObserverOptions {
  readonly failures: FailureLog;
  readonly method: string;
}

/** Looks at the credential that lies ready for the next login. */
export function storedCredentialObserver({
  failures,
  method,
}: StoredCredentialObserverOptions): (error?: unknown) => void {
  return (error) => {
    if (error === undefined) {
      failures.succeeded("auth.credential", { method });
    } else {
      failures.failed("auth.credential", { method, ...errorFields(error) });
    }
  };
}
