/** @module Decodes the registry of the Go implementation (dc-tec/openbao-kubernetes-kms), to take over its versions. */
import * as v from "valibot";
import { parseJson } from "../../base/parse-json.ts";
import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import { deriveKeyId } from "../identity/key-id.ts";
import type { KeyScope } from "../identity/key-scope.ts";
import { RegistryError } from "./errors.ts";

export const MAX_GO_REGISTRY_BYTES = 4 * 1024 * 1024;

const NAME = v.pipe(v.string(), v.maxLength(1024));
const SNAPSHOT = v.object({
  providerName: NAME,
  clusterId: NAME,
  openbaoInstanceId: NAME,
  openbaoNamespace: v.optional(NAME, ""),
  transitMountId: NAME,
  transitKeyLineageId: NAME,
  transitVersion: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  transitVersionCreatedAtUnix: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  kubernetesKeyId: NAME,
  state: v.picklist(["active", "pending", "retired", "removed", "rejected"]),
});
const REGISTRY = v.object({
  schemaVersion: v.literal("keyregistry.openbao-kms/v1alpha1"),
  activeKeyId: NAME,
  snapshots: v.pipe(v.array(SNAPSHOT), v.minLength(1), v.maxLength(100_000)),
});

/**
 * Its versions, rejected ones left out; `path` is for the message.
 * Throws RegistryError `registry_of_go` when it is no such file, or one of another key.
 */
export function decodeGoRegistry(bytes: Uint8Array, path: string, scope: KeyScope): readonly KeyVersion[] {
  const result = v.safeParse(REGISTRY, bytes.length > MAX_GO_REGISTRY_BYTES ? undefined : parseJson(bytes));
  if (!result.success) {
    throw refuse(path, "is not a registry of the Go implementation", "name its state.path, as it left it");
  }
  const versions = result.output.snapshots
    .filter(({ state }) => state !== "rejected")
    .map((snapshot) => ({
      version: snapshot.transitVersion,
      createdAtUnix: snapshot.transitVersionCreatedAtUnix,
      keyId: snapshot.kubernetesKeyId,
    }));
  if (versions.some((version) => deriveKeyId(scope, version) !== version.keyId)) {
    throw refuse(
      path,
      "has key_ids that do not derive from this configuration: it belongs to another key, or was changed",
      "compare transit.keyIdScope, openbao.instanceId and openbao.namespace with that implementation's configuration",
    );
  }
  return versions.map(({ version, createdAtUnix }) => ({ version, createdAtUnix }));
}

function refuse(path: string, problem: string, advice: string): RegistryError {
  return new RegistryError({ code: "registry_of_go", message: `${path} ${problem}`, advice });
}
