/** @module How asking somebody else than OpenBao for a credential ended. */

/** Called once for each call; `error` is absent when it succeeded. */
export type CredentialObserver = (
  operation: "oauth2_token" | "spiffe_fetch",
  durationMs: number,
  error?: unknown,
) => void;
