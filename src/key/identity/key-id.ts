/** @module key_id: the name under which kube-apiserver knows one version of the key, fixed by the wire vectors. */
import { createHash } from "node:crypto";
import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import type { KeyScope } from "./key-scope.ts";

const PREFIX = "obk2.";
const DOMAIN = "openbao-kubernetes-kms/key-id/v1";
const SHAPE = /^obk2\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

/**
 * The key_id of a version: a digest over the scope, the version's number and its creation time, so that a key that was
 * deleted and made again never takes an old name.
 */
export function deriveKeyId(scope: KeyScope, { version, createdAtUnix }: KeyVersion): string {
  const digest = createHash("sha256");
  for (const part of [
    DOMAIN,
    scope.providerName,
    scope.clusterId,
    scope.openbaoInstanceId,
    ...(scope.openbaoNamespace === "" ? [] : [scope.openbaoNamespace]),
    scope.transitMountId,
    scope.keyLineageId,
    String(version),
    String(createdAtUnix),
  ]) {
    digest.update(part, "utf8").update("\0");
  }
  return PREFIX + digest.digest("base64url");
}

/** Whether the text could be a key_id of ours: prefix, length and alphabet, and no stray bits in the last character. */
export function isWellFormedKeyId(text: string): boolean {
  return SHAPE.test(text);
}
