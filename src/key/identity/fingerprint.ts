/** @module The identity of a configuration: a digest per field for the registry, a short one over all for people. */
import { createHash } from "node:crypto";
import { hashText, type KeyScope } from "./key-scope.ts";

export interface ConfigIdentity extends KeyScope {
  readonly keyName: string;
}

export const IDENTITY_FIELDS = [
  "providerName",
  "clusterId",
  "openbaoInstanceId",
  "openbaoNamespace",
  "transitMountId",
  "keyLineageId",
  "keyName",
] as const satisfies readonly (keyof ConfigIdentity)[];

type IdentityField = (typeof IDENTITY_FIELDS)[number];
export type IdentityHashes = Readonly<Record<IdentityField, string>>;

/** A digest per field; the field's name is hashed with it, so equal values of two fields do not show. */
export function identityHashes(identity: ConfigIdentity): IdentityHashes {
  const hash = (field: IdentityField): string =>
    hashText(`bao-kms-provider/identity/v1\0${field}\0${identity[field]}`);
  return {
    providerName: hash("providerName"),
    clusterId: hash("clusterId"),
    openbaoInstanceId: hash("openbaoInstanceId"),
    openbaoNamespace: hash("openbaoNamespace"),
    transitMountId: hash("transitMountId"),
    keyLineageId: hash("keyLineageId"),
    keyName: hash("keyName"),
  };
}

/** 16 hexadecimal digits, grouped for reading aloud: nodes of one control plane show the same. */
export function fingerprint(identity: ConfigIdentity): string {
  const digest = createHash("sha256").update("bao-kms-provider/fingerprint/v1\0");
  for (const field of IDENTITY_FIELDS) {
    digest.update(hashText(identity[field])).update("\0");
  }
  return digest
    .digest("hex")
    .slice(0, 16)
    .replace(/(.{4})(?=.)/g, "$1-");
}
