/**
 * @module A registry as the Go implementation keeps it, of the key that a provider of harness/provider.ts uses. The versions
 * are those of our own registry; which states they have, the test says.
 */
import { readFileSync } from "node:fs";
import * as v from "valibot";
import { deriveKeyId } from "../../src/key/identity/key-id.ts";

const SCOPE = {
  providerName: "openbao",
  clusterId: "test-cluster",
  openbaoInstanceId: "openbao-test",
  transitMountId: "transit-test",
};
const LINEAGE = "lineage-test";

const REGISTRY = v.object({
  body: v.object({
    versions: v.array(v.object({ version: v.number(), createdAtUnix: v.number(), state: v.string() })),
  }),
});

export function goRegistry(statePath: string, stateOf: (ours: string) => string = (ours) => ours): string {
  const { body } = v.parse(REGISTRY, JSON.parse(readFileSync(statePath, "utf8")));
  const snapshots = body.versions.map(({ version, createdAtUnix, state }) =>
    Object.assign(
      { ...SCOPE },
      {
        transitKeyLineageId: LINEAGE,
        transitVersion: version,
        transitVersionCreatedAtUnix: createdAtUnix,
        kubernetesKeyId: deriveKeyId(
          { ...SCOPE, openbaoNamespace: "", keyLineageId: LINEAGE },
          { version, createdAtUnix },
        ),
        state: stateOf(state),
        aadMode: "aad.required",
      },
    ),
  );
  return JSON.stringify({ schemaVersion: "keyregistry.openbao-kms/v1alpha1", activeKeyId: "x", snapshots });
}
