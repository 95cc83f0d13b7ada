/** @module The versions that this node's registry knows, read without its lock. */
import type { ProviderConfig } from "../config/schema.ts";
import type { Evidence } from "../etcd/evidence.ts";
import { type ConfigIdentity, fingerprint, identityHashes } from "../key/identity/fingerprint.ts";
import { deriveKeyId } from "../key/identity/key-id.ts";
import { RegistryError, recoveryAdvice } from "../key/registry/errors.ts";
import { systemStateFiles } from "../key/registry/file-system.ts";
import { readState, type StoredRecord } from "../key/registry/read-state.ts";
import { activeVersion, type VersionRecord } from "../key/registry/record.ts";
import { configIdentity } from "../provider/registry.ts";

export interface RecordedVersions {
  readonly identity: ConfigIdentity;
  /** What evidence says of the configuration it was made with. */
  readonly configuration: NonNullable<Evidence["configuration"]>;
  /** Absent while no registry has been written. */
  readonly stored: StoredRecord | undefined;
  readonly versions: readonly VersionRecord[];
  readonly activeKeyId: string | undefined;
}

/** Throws RegistryError when there is a registry that must not be used. */
export async function recordedVersions(config: ProviderConfig): Promise<RecordedVersions> {
  const identity = configIdentity(config);
  const state = await readState({
    statePath: config.state.path,
    identity: identityHashes(identity),
    access: "read",
    euid: process.geteuid?.() ?? 0,
    files: systemStateFiles,
  });
  const stored = state.kind === "found" ? state.stored : undefined;
  return {
    identity,
    configuration: {
      fingerprint: fingerprint(identity),
      providerName: identity.providerName,
      clusterId: identity.clusterId,
    },
    stored,
    versions: stored?.record.versions ?? [],
    activeKeyId: stored === undefined ? undefined : deriveKeyId(identity, activeVersion(stored.record)),
  };
}

/** As {@link recordedVersions}, for commands that cannot do without a registry. */
export async function requireRecorded(
  config: ProviderConfig,
): Promise<RecordedVersions & { readonly stored: StoredRecord }> {
  const recorded = await recordedVersions(config);
  if (recorded.stored === undefined) {
    throw new RegistryError({
      code: "registry_lost",
      message: `state.path: there is no registry at ${config.state.path}: no provider has run with this configuration here`,
      advice: `run this on a control-plane node, or ${recoveryAdvice(config.state.path)}`,
    });
  }
  return { ...recorded, stored: recorded.stored };
}
