/** @module The result of asking a credential source other than OpenBao. */

/** Called once for each call; `error` is absent when it succeeded. */
export type CredentialObserver = (
  operation: "oauth2_token" | "spiffe_fetch",
  durationMs: number,
  error?: unknown,
) => void;
