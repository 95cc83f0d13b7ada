/** @module What the provider's token must be able to do, and what it must not: the tables of the least privilege. */
import type { ProviderConfig } from "../../config/schema.ts";

interface Capability {
  /** Below `/v1/`. */
  readonly path: string;
  readonly capability: "create" | "read" | "update" | "delete" | "list" | "sudo";
  readonly purpose: string;
}

type TransitPaths = Pick<ProviderConfig["transit"], "mountPath" | "keyName">;

export function neededCapabilities({ mountPath, keyName }: TransitPaths): readonly Capability[] {
  return [
    { path: `${mountPath}/keys/${keyName}`, capability: "read", purpose: "read the key's metadata" },
    { path: `${mountPath}/config/keys`, capability: "read", purpose: "read the mount's disable_upsert" },
    { path: `${mountPath}/encrypt/${keyName}`, capability: "update", purpose: "encrypt" },
    { path: `${mountPath}/decrypt/${keyName}`, capability: "update", purpose: "decrypt" },
    { path: "auth/token/renew-self", capability: "update", purpose: "renew its token" },
    { path: "auth/token/revoke-self", capability: "update", purpose: "give its token back" },
  ];
}

/** With each of these, a stolen token or a mistake can lose or leak the key. */
export function forbiddenCapabilities({ mountPath, keyName }: TransitPaths): readonly Capability[] {
  const key = `${mountPath}/keys/${keyName}`;
  return [
    { path: key, capability: "create", purpose: "create keys" },
    { path: key, capability: "update", purpose: "create keys" },
    { path: key, capability: "delete", purpose: "delete the key" },
    { path: `${key}/config`, capability: "update", purpose: "change the key's settings" },
    { path: `${key}/rotate`, capability: "update", purpose: "rotate the key" },
    { path: `${key}/trim`, capability: "update", purpose: "trim versions of the key" },
    { path: `${key}/soft-delete`, capability: "update", purpose: "soft-delete the key" },
    { path: `${key}/import`, capability: "update", purpose: "import key material" },
    { path: `${key}/import_version`, capability: "update", purpose: "import key material" },
    { path: `${mountPath}/export/encryption-key/${keyName}`, capability: "read", purpose: "export the key" },
    { path: `${mountPath}/backup/${keyName}`, capability: "read", purpose: "back up the key" },
    {
      path: `${mountPath}/restore/${keyName}`,
      capability: "update",
      purpose: "restore the key from a backup",
    },
    { path: `${mountPath}/rewrap/${keyName}`, capability: "update", purpose: "rewrap ciphertexts" },
    {
      path: `${mountPath}/encrypt/${keyName}`,
      capability: "create",
      purpose: "create the key by encrypting",
    },
    { path: `${mountPath}/config/keys`, capability: "update", purpose: "change the mount's settings" },
    { path: `sys/mounts/${mountPath}`, capability: "update", purpose: "change the mount" },
    { path: `sys/mounts/${mountPath}`, capability: "delete", purpose: "unmount Transit" },
  ];
}

/** Whether a list of capabilities, as OpenBao gives it, holds this one; `root` holds all. */
export function hasCapability(
  held: readonly string[] | undefined,
  wanted: Capability["capability"],
): boolean {
  return held !== undefined && !held.includes("deny") && (held.includes("root") || held.includes(wanted));
}
