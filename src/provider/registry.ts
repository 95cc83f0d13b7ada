/** @module From the configuration to the identity of its key, and to the store of the registry. */
import type { ProviderConfig } from "../config/schema.ts";
import { type ConfigIdentity, type IdentityHashes, identityHashes } from "../key/identity/fingerprint.ts";
import {
  createRegistryStore,
  type RegistryStore,
  type RegistryStoreOptions,
} from "../key/registry/file-store.ts";
import { systemStateFiles } from "../key/registry/file-system.ts";
import { readState, type StateOnDisk } from "../key/registry/read-state.ts";
import { trySqliteLock } from "../key/registry/writer-lock.ts";

type Writer = Pick<RegistryStoreOptions, "clock" | "euid">;

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

/** For commands that change nothing. @throws RegistryError with a refusal code. */
export function readConfiguredRegistry(config: ProviderConfig, euid: number): Promise<StateOnDisk> {
  const identity = identityHashes(configIdentity(config));
  return readState({ statePath: config.state.path, identity, access: "read", euid, files: systemStateFiles });
}

export function openConfiguredRegistry(config: ProviderConfig, writer: Writer): RegistryStore {
  return openRegistryFile(config.state.path, identityHashes(configIdentity(config)), writer);
}

/** Without a configuration, for a process that is given only the state. */
export function openRegistryFile(statePath: string, identity: IdentityHashes, writer: Writer): RegistryStore {
  return createRegistryStore({
    ...writer,
    access: "write",
    statePath,
    identity,
    files: systemStateFiles,
    tryLock: trySqliteLock,
    lockWaitMs: LOCK_WAIT_MS,
  });
}
