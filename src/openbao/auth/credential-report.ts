/**
 * How asking somebody else than OpenBao for a credential ended.
 *
 * @module A type: the hook for metrics and logs of an OAuth2 token endpoint or a SPIFFE Workload API.
 */

/** Called once for each call; `error` is absent when it succeeded. */
export type CredentialObserver = (
  operation: "oauth2_token" | "spiffe_fetch",
  durationMs: number,
  error?: unknown,
) => void;
