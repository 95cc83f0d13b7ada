/** @module The names of the calls that this program makes to others. Logs and metrics have them as a label. */
export const OPERATIONS = [
  "jwt_login",
  "cert_login",
  "approle_login",
  "oauth2_token",
  "spiffe_fetch",
  "approle_unwrap",
  "approle_lookup",
  "token_renew_self",
  "token_lookup_self",
  "token_revoke_self",
  "transit_metadata_read",
  "transit_disable_upsert_read",
  "transit_encrypt",
  "transit_decrypt",
  "capabilities_self",
  "health",
] as const;

export type Operation = (typeof OPERATIONS)[number];
