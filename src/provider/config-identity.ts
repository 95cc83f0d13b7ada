/** @module The identity of the key that a configuration names. */
import type { ProviderConfig } from "../config/schema.ts";
import type { ConfigIdentity } from "../key/identity/fingerprint.ts";

export function configIdentity({ openbao, transit }: ProviderConfig): ConfigIdentity {
  return {
    providerName: transit.keyIdScope.providerName,
    clusterId: transit.keyIdScope.clusterId,
    openbaoInstanceId: openbao.instanceId,
    openbaoNamespace: openbao.namespace,
    transitMountId: transit.keyIdScope.transitMountId,
    keyLineageId: transit.keyIdScope.keyLineageId,
    keyName: transit.keyName,
  };
}
