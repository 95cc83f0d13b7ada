/** @module Decodes EncryptionConfiguration with kube-apiserver's strictness: fields and types; rules.ts judges the values. */
import { Secret } from "../../base/secret.ts";
import type {
  EncryptionConfig,
  EncryptionKey,
  EncryptionProvider,
  KeyedKind,
  KmsProvider,
  ResourceGroup,
} from "./config.ts";
import { fileTree, type Tree } from "./file-tree.ts";
import { EncryptionConfigError, type FieldPosition, Refused, refuse } from "./refusal.ts";
import {
  checkKey,
  checkKmsName,
  checkMasking,
  checkResources,
  kmsApiVersion,
  kmsCacheSize,
  kmsEndpoint,
  kmsTimeoutMs,
} from "./rules.ts";

/** @throws EncryptionConfigError with the place, and never with text of the file. */
export function decodeEncryptionConfig(bytes: Uint8Array, file: string): EncryptionConfig {
  try {
    return configOf(fileTree(bytes));
  } catch (error) {
    throw error instanceof Refused ? new EncryptionConfigError(file, error.refusal) : error;
  }
}

function configOf(tree: Tree): EncryptionConfig {
  const fields = struct(tree, "the file", ["apiVersion", "kind", "resources"]);
  const apiVersion = textField(fields, "apiVersion");
  const kind = textField(fields, "kind");
  const isLegacyKind = (apiVersion === "v1" || apiVersion === "/v1") && kind === "EncryptionConfig";
  if (!isLegacyKind && !(apiVersion === "apiserver.config.k8s.io/v1" && kind === "EncryptionConfiguration")) {
    refuse("kind", fields.at("kind"));
  }
  const kmsNames = new Set<string>();
  const entries = list(fields, "resources");
  if (entries.length === 0) {
    refuse("resources_empty", fields.at("resources"));
  }
  const groups = entries.map((entry) => groupOf(entry, kmsNames));
  checkMasking(groups, (index) => ({ path: `resources[${index}]`, line: entries[index]?.tree.line }));
  return { groups, isLegacyKind };
}

interface Entry {
  readonly tree: Tree;
  readonly path: string;
}

function groupOf({ tree, path }: Entry, kmsNames: Set<string>): ResourceGroup {
  const fields = struct(tree, path, ["resources", "providers"]);
  const resources = list(fields, "resources").map((entry) => text(entry.tree, entry.path));
  checkResources(resources, fields.at("resources"));
  const providers = list(fields, "providers").map((entry) => providerOf(entry, kmsNames));
  if (providers.length === 0) {
    refuse("providers_empty", fields.at("providers"));
  }
  return { resources, providers };
}

const KINDS = ["kms", "aescbc", "aesgcm", "secretbox", "identity"] as const;

function providerOf({ tree, path }: Entry, kmsNames: Set<string>): EncryptionProvider {
  const fields = struct(tree, path, KINDS);
  const [kind, second] = KINDS.filter((name) => fields.get(name) !== undefined);
  if (kind === undefined || second !== undefined) {
    refuse("provider_kind", { path, line: tree.line });
  }
  const inner = struct(fields.get(kind), `${path}.${kind}`, FIELDS[kind]);
  switch (kind) {
    case "kms":
      return kmsOf(inner, kmsNames);
    case "identity":
      return { kind };
    default:
      return { kind, keys: keysOf(inner, kind) };
  }
}

const FIELDS = {
  kms: ["apiVersion", "name", "cachesize", "endpoint", "timeout"],
  aescbc: ["keys"],
  aesgcm: ["keys"],
  secretbox: ["keys"],
  identity: [],
} as const;

function kmsOf(fields: Fields, names: Set<string>): KmsProvider {
  const name = textField(fields, "name");
  const apiVersion = kmsApiVersion(textField(fields, "apiVersion"), fields.at("apiVersion"));
  checkKmsName(name, apiVersion, names, fields.at("name"));
  const timeout = fields.get("timeout") === undefined ? undefined : textField(fields, "timeout");
  const cacheSize = integer(fields, "cachesize");
  return {
    kind: "kms",
    apiVersion,
    name,
    endpoint: kmsEndpoint(textField(fields, "endpoint"), fields.at("endpoint")),
    timeout,
    timeoutMs: kmsTimeoutMs(timeout, fields.at("timeout")),
    cacheSize: kmsCacheSize(cacheSize, apiVersion, fields.at("cachesize")),
  };
}

function keysOf(fields: Fields, kind: KeyedKind): readonly EncryptionKey[] {
  const entries = list(fields, "keys");
  if (entries.length === 0) {
    refuse("keys_empty", fields.at("keys"));
  }
  return entries.map(({ tree, path }) => {
    const key = struct(tree, path, ["name", "secret"]);
    const name = textField(key, "name");
    const secret = new Secret(textField(key, "secret"));
    checkKey(kind, name, secret, key);
    return { name, secret };
  });
}

/** A mapping whose field names are known. A field that is null counts as absent, as for Go. */
interface Fields {
  readonly get: (name: string) => Tree | undefined;
  readonly at: (name: string) => FieldPosition;
}

function struct(tree: Tree | undefined, path: string, known: readonly string[]): Fields {
  if (tree !== undefined && tree.kind !== "map" && tree.kind !== "null") {
    refuse("wrong_type", { path, line: tree.line }, "mapping");
  }
  const fields = tree?.kind === "map" ? tree.fields : new Map<string, never>();
  for (const [name, { line }] of fields) {
    if (!known.includes(name)) {
      const advice =
        known.length === 0 ? "remove it" : `remove it or correct its spelling; known: ${known.join(", ")}`;
      refuse("unknown_field", { path, line }, "", advice);
    }
  }
  const prefix = path === "the file" ? "" : `${path}.`;
  return {
    get: (name) => {
      const value = fields.get(name)?.value;
      return value?.kind === "null" ? undefined : value;
    },
    at: (name) => ({ path: `${prefix}${name}`, line: fields.get(name)?.line ?? tree?.line }),
  };
}

function list(fields: Fields, name: string): readonly Entry[] {
  const value = fields.get(name);
  const { path } = fields.at(name);
  if (value !== undefined && value.kind !== "list") {
    refuse("wrong_type", { path, line: value.line }, "list");
  }
  return (value?.items ?? []).map((tree, index) => ({ tree, path: `${path}[${index}]` }));
}

const textField = (fields: Fields, name: string): string => text(fields.get(name), fields.at(name).path);

function text(tree: Tree | undefined, path: string): string {
  if (tree === undefined || tree.kind === "null") {
    return "";
  }
  return tree.kind === "string"
    ? tree.value
    : refuse(
        "wrong_type",
        { path, line: tree.line },
        "text",
        "put the value in quotes: kube-apiserver reads words such as on, yes and n, and numbers, as something else",
      );
}

const MAX_INT32 = 2 ** 31 - 1;

function integer(fields: Fields, name: string): number | undefined {
  const tree = fields.get(name);
  if (tree === undefined) {
    return undefined;
  }
  const value = tree.kind === "number" ? tree.value : Number.NaN;
  return Number.isInteger(value) && value >= -MAX_INT32 - 1 && value <= MAX_INT32
    ? value
    : refuse("wrong_type", { ...fields.at(name), line: tree.line }, "whole number");
}
