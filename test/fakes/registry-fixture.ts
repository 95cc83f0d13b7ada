/** @module A configuration's identity and a few registry contents for tests. Values only; nothing here decides anything. */
import { type ConfigIdentity, fingerprint, identityHashes } from "../../src/key/identity/fingerprint.ts";
import { firstContent, withNewVersions, withPromoted } from "../../src/key/registry/changes.ts";
import type { RegistryContent } from "../../src/key/registry/record.ts";

export const testIdentity: ConfigIdentity = {
  providerName: "openbao",
  clusterId: "cluster-a",
  openbaoInstanceId: "bao-a",
  openbaoNamespace: "",
  transitMountId: "transit-a",
  keyLineageId: "lineage-a",
  keyName: "kubernetes",
};

function markerOf(version: number): string {
  return `vault:v${version}:${Buffer.from(`marker of ${version}`).toString("base64")}`;
}

export const testFirstContent: RegistryContent = firstContent(
  identityHashes(testIdentity),
  fingerprint(testIdentity),
  { version: 1, createdAtUnix: 1_700_000_001, marker: markerOf(1) },
  1_800_000_000_000,
);

/** The content after a rotation to the version after its active one. */
export function rotated(content: RegistryContent): RegistryContent {
  const version = content.versions.length + 1;
  const createdAtUnix = 1_700_000_000 + version;
  const seen = withNewVersions(content, [{ version, createdAtUnix }], 1_800_000_000_000 + version);
  return {
    ...seen,
    ...withPromoted(seen, { version, createdAtUnix, marker: markerOf(version) }, 1_800_000_000_000),
  };
}
