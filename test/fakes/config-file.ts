/**
 * @module A configuration file that is accepted as it stands, for tests that change one thing of it. The smallest file: every
 * field that has no default, and nothing else.
 */
/** JSON is YAML 1.2, so the result can be written to a file as it is. `change` edits a deep copy of the fields. */
export function configFile(change: (fields: typeof FIELDS) => unknown = (fields) => fields): string {
  return JSON.stringify(change(structuredClone(FIELDS)));
}

export type ConfigFields = typeof FIELDS;

/** The fields with the sections that name this OpenBao, its key and nothing else. */
export function onOpenBao(
  fields: ConfigFields,
  openbao: { readonly address: string; readonly caCertFile: string; readonly serverName?: string },
  names: { readonly mount: string; readonly keyName: string },
) {
  const { address, caCertFile, serverName: tlsServerName = "localhost" } = openbao;
  return {
    ...fields,
    openbao: { ...fields.openbao, address, caCertFile, tlsServerName },
    transit: { ...fields.transit, mountPath: names.mount, keyName: names.keyName },
  };
}

const FIELDS = {
  configVersion: "v1alpha1",
  server: { socketGroup: "openbao-kms-socket" },
  openbao: {
    address: "https://openbao.example:8200",
    caCertFile: "/etc/openbao-kms/tls/ca.crt",
    tlsServerName: "openbao.example",
    instanceId: "openbao-a",
  },
  auth: { jwt: { mountPath: "auth/jwt", role: "kms", jwtFile: "/var/lib/openbao-kms/identity.jwt" } },
  transit: {
    mountPath: "transit",
    keyName: "etcd",
    keyIdScope: {
      providerName: "openbao",
      clusterId: "cluster-a",
      transitMountId: "mount-a",
      keyLineageId: "lineage-a",
    },
  },
};
