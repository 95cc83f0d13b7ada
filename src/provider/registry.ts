/** @module From the configuration to the identity of its key, and to the store of the registry. */
import type { ProviderConfig } from "../config/schema.ts";
import { type ConfigIdentity, type IdentityHashes, identityHashes } from "../key/identity/fingerprint.ts";
import {
  createRegistryStore,
  type RegistryStore,
  type RegistryStoreOptions,
} from "../key/registry/file-store.ts";
import { systemStateFiles } from "../key/registry/file-system.ts";
import { trySqliteLock } from "../key/registry/writer-lock.ts";

type RegistryAccess = Pick<RegistryStoreOptions, "clock" | "euid" | "access">;

/** A write takes milliseconds; another writer that has the lock for this long is stuck. */
const LOCK_WAIT_MS = 2000;

export function configIdentity({ openbao, transit }: ProviderConfig): ConfigIdentity {
  const { providerName, clusterId, transitMountId, keyLineageId } = transit.keyIdScope;
  return {
    providerName,
    clusterId,
    openbaoInstanceId: openbao.instanceId,
    openbaoNamespace: openbao.namespace,
    transitMountId,
    keyLineageId,
    keyName: transit.keyName,
  };
}

export function openConfiguredRegistry(config: ProviderConfig, access: RegistryAccess): RegistryStore {
  return openRegistryFile(config.state.path, identityHashes(configIdentity(config)), access);
}

/** Without a configuration, for a process that is given only the state. */
export function openRegistryFile(
  statePath: string,
  identity: IdentityHashes,
  access: RegistryAccess,
): RegistryStore {
  return createRegistryStore({
    ...access,
    statePath,
    identity,
    files: systemStateFiles,
    tryLock: trySqliteLock,
    lockWaitMs: LOCK_WAIT_MS,
  });
}
