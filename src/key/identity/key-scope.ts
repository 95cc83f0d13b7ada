/** @module What a key is to this control plane; key_id, annotations and associated data derive from it. */
import { createHash } from "node:crypto";

export interface KeyScope {
  readonly providerName: string;
  readonly clusterId: string;
  readonly openbaoInstanceId: string;
  /** Empty when no namespace is used; it then takes no part in any derivation. */
  readonly openbaoNamespace: string;
  readonly transitMountId: string;
  readonly keyLineageId: string;
}

/** H(s) of the wire contract: base64url without padding of the SHA-256 of the UTF-8 text. */
export function hashText(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("base64url");
}
