/** @module The key_ids that the versions of a key derive to. */
import { deriveKeyId } from "../key/identity/key-id.ts";
import type { KeyScope, KeyVersion } from "../key/identity/key-scope.ts";
import type { KnownKeyIds } from "./tally.ts";

/** Transit's number by key_id. Two versions with one number and different creation times have different key_ids. */
export function knownKeyIds(scope: KeyScope, versions: readonly KeyVersion[]): KnownKeyIds {
  return new Map(versions.map((version) => [deriveKeyId(scope, version), version.version]));
}
