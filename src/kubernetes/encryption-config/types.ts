/**
 * @module What an EncryptionConfiguration means to kube-apiserver: types, the error and its closed set of rules.
 * @see https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/
 */
import { ProviderError } from "../../base/error-class.ts";
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

export type EncryptionProvider = KmsProvider | KeyedProvider | IdentityProvider;

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

interface KeyedProvider {
  readonly kind: KeyedKind;
  readonly keys: readonly EncryptionKey[];
}

export interface EncryptionKey {
  readonly name: string;
  /** In base64, as in the file. */
  readonly secret: Secret;
}

interface IdentityProvider {
  readonly kind: "identity";
}

/** Why kube-apiserver would refuse a file, or why this program does before it asks. */
export type EncryptionRule =
  | "size"
  | "encoding"
  | "character"
  | "syntax"
  | "json_syntax"
  | "nesting"
  | "tab"
  | "alias"
  | "tag"
  | "directive"
  | "documents"
  | "key_not_scalar"
  | "duplicate_field"
  | "unknown_field"
  | "wrong_type"
  | "kind"
  | "resources_empty"
  | "resource_name"
  | "resource_twice"
  | "resource_overlap"
  | "resource_masked"
  | "providers_empty"
  | "provider_kind"
  | "keys_empty"
  | "key_name"
  | "key_secret_missing"
  | "key_secret_base64"
  | "key_secret_length"
  | "kms_name"
  | "kms_name_twice"
  | "kms_timeout"
  | "kms_endpoint"
  | "kms_cachesize"
  | "kms_version";

/** The problem and its place; no text of the file. */
interface Refusal {
  readonly rule: EncryptionRule;
  /** From 1; undefined when the whole file is meant. */
  readonly line: number | undefined;
  /** Continues "the EncryptionConfiguration FILE …". */
  readonly problem: string;
  readonly advice: string;
}

export class EncryptionConfigError extends ProviderError<"encryption_config_invalid"> {
  readonly rule: EncryptionRule;
  readonly line: number | undefined;

  constructor(file: string, { rule, line, problem, advice }: Refusal) {
    super({
      code: "encryption_config_invalid",
      errorClass: "config_invalid",
      message: `the EncryptionConfiguration ${file}${line === undefined ? "" : `, line ${line},`} ${problem}`,
      advice,
    });
    this.rule = rule;
    this.line = line;
  }
}

/** Carries a refusal out of the decoder; decodeEncryptionConfig adds the file's name. */
export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.rule);
    this.refusal = refusal;
  }
}

/** @throws Refused */
export function refuse(
  rule: EncryptionRule,
  line: number | undefined,
  problem: string,
  advice: string,
): never {
  throw new Refused({ rule, line, problem, advice });
}
