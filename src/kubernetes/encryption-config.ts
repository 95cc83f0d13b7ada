/**
 * kube-apiserver's EncryptionConfiguration, read as kube-apiserver reads it.
 *
 * @module Hostile bytes to a typed value. What is wrong with one for this provider is said by checks/kubernetes.ts. Keys of
 * aescbc, aesgcm and secretbox stand in these files in the open: they are kept in a Secret and never looked at.
 * @see https://kubernetes.io/docs/reference/config-api/apiserver-config.v1/
 */
import * as v from "valibot";
import { parseDurationMs } from "../base/duration.ts";
import { ProviderError } from "../base/error-class.ts";
import { Secret } from "../base/secret.ts";
import { decodeYaml } from "../config/decode-yaml.ts";

export interface EncryptionConfig {
  readonly groups: readonly ResourceGroup[];
}

/** One entry of `resources`: the first provider writes, all read. */
export interface ResourceGroup {
  readonly resources: readonly string[];
  readonly providers: readonly EncryptionProvider[];
}

export type EncryptionProvider =
  | {
      readonly kind: "kms";
      /** `v1` when the file leaves it out. */
      readonly apiVersion: string;
      readonly name: string;
      readonly endpoint: string;
      /** 3 s when the file leaves it out; `undefined` when it is not a duration. */
      readonly timeoutMs: number | undefined;
      readonly source: Secret;
    }
  | {
      readonly kind: "aescbc" | "aesgcm" | "secretbox";
      readonly keyNames: readonly string[];
      readonly source: Secret;
    }
  | { readonly kind: "identity"; readonly source: Secret };

export class EncryptionConfigError extends ProviderError<"encryption_config_invalid"> {
  constructor(file: string, problem: string, advice: string) {
    super({
      code: "encryption_config_invalid",
      errorClass: "config_invalid",
      message: `the EncryptionConfiguration ${file} ${problem}`,
      advice,
    });
  }
}

export const MAX_ENCRYPTION_CONFIG_BYTES = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 3000;

const keyList = v.looseObject({ keys: v.array(v.looseObject({ name: v.string() })) });
const providerShape = v.strictObject({
  kms: v.optional(
    v.looseObject({
      apiVersion: v.optional(v.string(), "v1"),
      name: v.string(),
      endpoint: v.string(),
      timeout: v.optional(v.string()),
    }),
  ),
  aescbc: v.optional(keyList),
  aesgcm: v.optional(keyList),
  secretbox: v.optional(keyList),
  identity: v.optional(v.nullable(v.looseObject({}))),
});
const fileShape = v.looseObject({
  apiVersion: v.literal("apiserver.config.k8s.io/v1"),
  kind: v.literal("EncryptionConfiguration"),
  resources: v.pipe(
    v.array(
      v.looseObject({
        resources: v.pipe(v.array(v.string()), v.minLength(1)),
        providers: v.pipe(v.array(providerShape), v.minLength(1)),
      }),
    ),
    v.minLength(1),
  ),
});

/** @throws EncryptionConfigError naming the place, never a value. */
export function decodeEncryptionConfig(bytes: Uint8Array, file: string): EncryptionConfig {
  const decoded = decodeYaml(bytes, MAX_ENCRYPTION_CONFIG_BYTES);
  if (!decoded.ok) {
    throw new EncryptionConfigError(file, decoded.problem, decoded.mend);
  }
  const parsed = v.safeParse(fileShape, decoded.value);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new EncryptionConfigError(
      file,
      `is not one: ${v.getDotPath(issue) ?? "the file"} is missing, unknown or of the wrong kind`,
      "compare it with https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/",
    );
  }
  return {
    groups: parsed.output.resources.map(({ resources, providers }, group) => ({
      resources,
      providers: providers.map((provider, index) => {
        const known = providerOf(provider);
        if (known === undefined) {
          throw new EncryptionConfigError(
            file,
            `is not one: resources.${group}.providers.${index} must have exactly one kind of provider`,
            "give each provider an entry of its own",
          );
        }
        return known;
      }),
    })),
  };
}

function providerOf(provider: v.InferOutput<typeof providerShape>): EncryptionProvider | undefined {
  if (Object.keys(provider).length !== 1) {
    return undefined;
  }
  const source = new Secret(JSON.stringify(provider));
  const { kms } = provider;
  if (kms !== undefined) {
    const { apiVersion, name, endpoint, timeout } = kms;
    const timeoutMs = timeout === undefined ? DEFAULT_TIMEOUT_MS : parseDurationMs(timeout);
    return { kind: "kms", apiVersion, name, endpoint, timeoutMs, source };
  }
  for (const kind of ["aescbc", "aesgcm", "secretbox"] as const) {
    const keys = provider[kind]?.keys;
    if (keys !== undefined) {
      return { kind, keyNames: keys.map(({ name }) => name), source };
    }
  }
  return "identity" in provider ? { kind: "identity", source } : undefined;
}

/** The group that decides about a resource of the core group: the first that names it or matches it by wildcard. */
export function groupFor(config: EncryptionConfig, resource: string): ResourceGroup | undefined {
  return config.groups.find(({ resources }) =>
    resources.some((each) => each === resource || each === "*." || each === "*.*"),
  );
}

/** What tells two readers apart: data written by one can be read by another of the same identity. */
export function readerIdentity(provider: EncryptionProvider): string {
  switch (provider.kind) {
    case "kms":
      return `kms ${provider.apiVersion} ${provider.name}`;
    case "identity":
      return "identity";
    default:
      return `${provider.kind} ${[...provider.keyNames].sort().join(" ")}`;
  }
}
