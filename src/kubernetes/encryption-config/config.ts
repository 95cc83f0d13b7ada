/**
 * @module What an EncryptionConfiguration means: its entries, and which of them decide about a resource.
 * @see https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/
 */
import type { Secret } from "../../base/secret.ts";

export interface EncryptionConfig {
  readonly groups: readonly ResourceGroup[];
  /** `kind: EncryptionConfig` of `apiVersion: v1`, which kube-apiserver still loads. */
  readonly isLegacyKind: boolean;
}

/** One entry of `resources`: the first provider writes, all read. */
export interface ResourceGroup {
  readonly resources: readonly string[];
  readonly providers: readonly EncryptionProvider[];
}

export type EncryptionProvider =
  | KmsProvider
  | { readonly kind: KeyedKind; readonly keys: readonly EncryptionKey[] }
  | { readonly kind: "identity" };

export interface KmsProvider {
  readonly kind: "kms";
  /** `v1` when the file leaves it out. */
  readonly apiVersion: string;
  readonly name: string;
  readonly endpoint: string;
  /** As written; undefined when the file leaves it out. */
  readonly timeout: string | undefined;
  readonly timeoutMs: number;
  readonly cacheSize: number | undefined;
}

export type KeyedKind = "aescbc" | "aesgcm" | "secretbox";

export interface EncryptionKey {
  readonly name: string;
  /** In base64, as in the file. */
  readonly secret: Secret;
}

interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

export const ANY = "*";

/** `pods` is of the core group, `*.` too; all after the first dot is the group. */
export function groupResource(name: string): GroupResource {
  const dot = name.indexOf(".");
  return dot === -1
    ? { group: "", resource: name }
    : { group: name.slice(dot + 1), resource: name.slice(0, dot) };
}

/** The entries that decide about a resource, most of the time one. Their providers count in this order. */
export function groupsFor({ groups }: EncryptionConfig, name: string): readonly ResourceGroup[] {
  const wanted = groupResource(name);
  const choices: readonly GroupResource[] = [
    wanted,
    { group: wanted.group, resource: ANY },
    { group: ANY, resource: ANY },
  ];
  for (const choice of choices) {
    const found = groups.filter(({ resources }) =>
      resources.some((each) => {
        const { group, resource } = groupResource(each);
        return group === choice.group && resource === choice.resource;
      }),
    );
    if (found.length > 0) {
      return found;
    }
  }
  return [];
}

/** The first writes, all read; a resource without an entry is written and read by identity. */
export function providersFor(config: EncryptionConfig, name: string): readonly EncryptionProvider[] {
  const groups = groupsFor(config, name);
  return groups.length === 0 ? [{ kind: "identity" }] : groups.flatMap(({ providers }) => providers);
}
