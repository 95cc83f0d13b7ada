/** @module The versions of this node's registry, for commands that do not ask OpenBao and do not load its client. */
import type { ProviderConfig } from "../config/schema.ts";
import { fingerprint } from "../key/identity/fingerprint.ts";
import { deriveKeyId } from "../key/identity/key-id.ts";
import { RegistryError, recoveryAdvice } from "../key/registry/errors.ts";
import { activeVersion } from "../key/registry/record.ts";
import { configIdentity, readConfiguredRegistry } from "../provider/registry.ts";

export type RecordedVersions = Awaited<ReturnType<typeof recordedVersions>>;

/** Throws RegistryError when there is a registry that must not be used. */
export async function recordedVersions(config: ProviderConfig) {
  const identity = configIdentity(config);
  const state = await readConfiguredRegistry(config, process.geteuid?.() ?? 0);
  const stored = state.kind === "found" ? state.stored : undefined;
  return {
    identity,
    /** What evidence tells of the configuration that it was made with. */
    configuration: {
      fingerprint: fingerprint(identity),
      providerName: identity.providerName,
      clusterId: identity.clusterId,
    },
    /** Absent while no registry has been written. */
    stored,
    versions: stored?.record.versions ?? [],
    activeKeyId: stored === undefined ? undefined : deriveKeyId(identity, activeVersion(stored.record)),
  };
}

/** As {@link recordedVersions}, for commands that cannot do without a registry. */
export async function requireRecorded(config: ProviderConfig) {
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
