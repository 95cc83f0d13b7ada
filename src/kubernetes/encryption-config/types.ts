/**
 * @module What an EncryptionConfiguration means to kube-apiserver: the types.
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
