/**
 * The identity of the key that a configuration names, for checks.
 *
 * @module Picks the parts out of the configuration; compose/ does the same for the daemon and stands on the same floor.
 */
import type { ProviderConfig } from "../../config/schema.ts";
import type { ConfigIdentity } from "../../key/identity/fingerprint.ts";

export function keyScopeOf({ openbao, transit }: ProviderConfig): ConfigIdentity {
  return {
    ...transit.keyIdScope,
    openbaoInstanceId: openbao.instanceId,
    openbaoNamespace: openbao.namespace,
    keyName: transit.keyName,
  };
}
