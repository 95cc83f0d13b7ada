/** @module The associated data that ties a ciphertext to its cluster, key and version. Every byte is wire contract. */

import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import { AAD_VERSION, PROVIDER_NAME } from "./annotations.ts";
import { hashText, type KeyScope } from "./key-scope.ts";

/** What Go's encoding/json escapes beyond JSON's own rules. @see https://pkg.go.dev/encoding/json#Marshal */
const GO_ESCAPES = /[<>&\u2028\u2029]/g;

/** The JSON text of a version's associated data, fields in contract order, escaped as Go does. */
export function associatedDataText(scope: KeyScope, { version }: KeyVersion, keyId: string): string {
  return JSON.stringify({
    aad_version: AAD_VERSION,
    purpose: "kubernetes-etcd-kms-v2",
    provider: PROVIDER_NAME,
    provider_name: scope.providerName,
    cluster_id_hash: hashText(scope.clusterId),
    openbao_instance_hash: hashText(scope.openbaoInstanceId),
    ...(scope.openbaoNamespace === "" ? {} : { openbao_namespace_hash: hashText(scope.openbaoNamespace) }),
    transit_mount_hash: hashText(scope.transitMountId),
    transit_key_hash: hashText(scope.keyLineageId),
    key_id_hash: hashText(keyId),
    key_version: String(version),
  }).replace(GO_ESCAPES, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** What Transit's `associated_data` parameter takes: standard base64 of the text's UTF-8 bytes. */
export function transitAssociatedData(scope: KeyScope, keyVersion: KeyVersion, keyId: string): string {
  return Buffer.from(associatedDataText(scope, keyVersion, keyId), "utf8").toString("base64");
}
