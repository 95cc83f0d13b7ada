/** @module From the configuration to the identity of its key, and to the store of the registry. */
import type { Clock } from "../base/clock.ts";
import type { ProviderConfig } from "../config/schema.ts";
import { type ConfigIdentity, type IdentityHashes, identityHashes } from "../key/identity/fingerprint.ts";
import { openRegistryStore, type RegistryStore } from "../key/registry/file-store.ts";
import { systemStateFiles } from "../key/registry/file-system.ts";
import { trySqliteLock } from "../key/registry/writer-lock.ts";

interface RegistryOptions {
  readonly config: ProviderConfig;
  readonly clock: Clock;
  readonly euid: number;
  /** `read` for a report, which root may make of another user's state. */
  readonly access: "read" | "write";
}

/** A write takes milliseconds; another writer that holds the lock for this long is stuck. */
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

export function openRegistry({ config, ...options }: RegistryOptions): RegistryStore {
  const identity = identityHashes(configIdentity(config));
  return openRegistryAt({ ...options, statePath: config.state.path, identity });
}

interface RegistryPlace extends Omit<RegistryOptions, "config"> {
  readonly statePath: string;
  readonly identity: IdentityHashes;
}

/** Without a configuration, for a process that is given only the state. */
export function openRegistryAt(place: RegistryPlace): RegistryStore {
  return openRegistryStore({
    ...place,
    files: systemStateFiles,
    tryLock: trySqliteLock,
    lockWaitMs: LOCK_WAIT_MS,
  });
}
