/** @module kube-apiserver's rules for the values: validation_encryption.go and encryptionconfig/config.go of k8s.io/apiserver. */
import type { Secret } from "../../base/secret.ts";
import { goDurationNs } from "./go-duration.ts";
import { socketPathOf } from "./kms-endpoint.ts";
import { ANY, groupResource } from "./resources.ts";
import { type KeyedKind, refuse } from "./types.ts";

export interface Place {
  readonly path: string;
  readonly line: number | undefined;
}

export const MANUAL = "compare it with https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/";

/** Resources without a REST API, which kube-apiserver does not encrypt. */
const INTERNAL = new Set(["apiserveripinfo", "serviceipallocations", "servicenodeportallocations"]);

export function checkResources(resources: readonly string[], { path, line }: Place): void {
  if (resources.length === 0) {
    refuse("resources_empty", line, `has no entry in ${path}`, MANUAL);
  }
  const seen = new Set<string>();
  for (const [index, name] of resources.entries()) {
    const problem = nameProblem(name);
    if (problem !== undefined) {
      refuse("resource_name", line, `has at ${path}[${index}] ${problem[0]}`, problem[1]);
    }
    const { group, resource } = groupResource(name);
    if (seen.has(`${resource}.${group}`)) {
      refuse("resource_twice", line, `gives a resource twice in ${path}`, "keep one of the two");
    }
    seen.add(`${resource}.${group}`);
  }
  if (hasOverlap(resources)) {
    refuse(
      "resource_overlap",
      line,
      `gives in ${path} a wildcard and a resource that it covers`,
      "keep the wildcard, or put it into a later entry of its own",
    );
  }
}

function nameProblem(name: string): readonly [string, string] | undefined {
  const { group, resource } = groupResource(name);
  if (name.toLowerCase() !== name) {
    return ["a capital letter", "write the resource's plural name in lower case"];
  }
  if (name === "*") {
    return ["a lone asterisk", "write '*.' for the core group or '*.*' for all resources"];
  }
  if (INTERNAL.has(name)) {
    return ["a resource that has no REST API", "remove it"];
  }
  if (group === "events.k8s.io") {
    return ["the group events.k8s.io", "write events: kube-apiserver stores them in the core group"];
  }
  if (group === "extensions") {
    return [
      "the group extensions, which Kubernetes has removed",
      "use the group that has the resource today",
    ];
  }
  if (group === "*" && resource !== "*") {
    return ["one resource in all groups", "give each group by its name"];
  }
  return undefined;
}

function hasOverlap(names: readonly string[]): boolean {
  const all = names.map(groupResource);
  return all.some(
    (wild) =>
      wild.resource === "*" &&
      all.some((other) => other !== wild && (wild.group === "*" || wild.group === other.group)),
  );
}

/** A wildcard hides what later entries give, so kube-apiserver refuses them. */
export function checkMasking(
  groups: readonly { readonly resources: readonly string[]; readonly at: Place }[],
): void {
  const wildcards = new Set<string>();
  for (const { resources, at } of groups) {
    for (const name of resources) {
      const { group, resource } = groupResource(name);
      if (wildcards.has(ANY) || wildcards.has(group)) {
        refuse(
          "resource_masked",
          at.line,
          `gives in ${at.path} a resource that a wildcard of an earlier entry covers`,
          "put the entry before the one with the wildcard",
        );
      }
      if (resource === "*") {
        wildcards.add(group);
      }
    }
  }
}

const KEY_BYTES: Readonly<Record<KeyedKind, readonly number[]>> = {
  aescbc: [16, 24, 32],
  aesgcm: [16, 24, 32],
  secretbox: [32],
};
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const NEW_SECRET = "make one with: head -c 32 /dev/urandom | base64";

export function checkKey(
  kind: KeyedKind,
  name: string,
  secret: Secret,
  { at }: { readonly at: (name: string) => Place },
): void {
  if (name === "") {
    refuse("key_name", at("name").line, `has no text at ${at("name").path}`, "give the key a name");
  }
  const { path, line } = at("secret");
  const bytes = keyBytes(secret);
  if (secret.expose() === "") {
    refuse("key_secret_missing", line, `has no text at ${path}`, NEW_SECRET);
  }
  if (bytes === undefined) {
    refuse("key_secret_base64", line, `has no base64 at ${path}`, NEW_SECRET);
  }
  if (!KEY_BYTES[kind].includes(bytes.length)) {
    refuse(
      "key_secret_length",
      line,
      `has a key of ${bytes.length} bytes at ${path}; ${kind} takes ${KEY_BYTES[kind].join(", ")}`,
      NEW_SECRET,
    );
  }
}

/** The key itself; undefined when it is not base64. Go's decoder skips line breaks. */
export function keyBytes(secret: Secret): Uint8Array | undefined {
  const text = secret.expose().replace(/[\r\n]/g, "");
  return BASE64.test(text) ? Buffer.from(text, "base64") : undefined;
}

export function kmsApiVersion(text: string, { path, line }: Place): "v1" | "v2" {
  const version = text === "" ? "v1" : text;
  return version === "v1" || version === "v2"
    ? version
    : refuse("kms_version", line, `has neither v1 nor v2 at ${path}`, "write apiVersion: v2");
}

export function checkKmsName(
  name: string,
  apiVersion: "v1" | "v2",
  names: Set<string>,
  { path, line }: Place,
): void {
  if (name === "") {
    refuse("kms_name", line, `has no text at ${path}`, "give the provider a name");
  }
  if (apiVersion === "v2" && name.includes(":")) {
    refuse("kms_name", line, `has a colon at ${path}`, "choose a name without a colon");
  }
  if (apiVersion === "v2" && names.has(name)) {
    refuse(
      "kms_name_twice",
      line,
      `gives at ${path} the name of another KMS provider`,
      "keep one of the two",
    );
  }
  names.add(name);
}

const DEFAULT_TIMEOUT_MS = 3000;

export function kmsTimeoutMs(text: string | undefined, { path, line }: Place): number {
  if (text === undefined) {
    return DEFAULT_TIMEOUT_MS;
  }
  const ns = goDurationNs(text);
  return ns !== undefined && ns > 0n
    ? Number(ns) / 1e6
    : refuse("kms_timeout", line, `has no duration above zero at ${path}`, "write timeout: 3s");
}

export function kmsEndpoint(text: string, { path, line }: Place): string {
  return socketPathOf(text) === undefined
    ? refuse(
        "kms_endpoint",
        line,
        `has no unix URL at ${path}`,
        "write unix:// and the absolute path of the socket",
      )
    : text;
}

export function kmsCacheSize(
  size: number | undefined,
  apiVersion: "v1" | "v2",
  { path, line }: Place,
): number | undefined {
  if (size !== undefined && apiVersion === "v2") {
    refuse("kms_cachesize", line, `has a value at ${path}, which KMS v2 does not have`, "remove the field");
  }
  return size === 0
    ? refuse(
        "kms_cachesize",
        line,
        `has 0 at ${path}`,
        "write a number above zero, or a negative one for no cache",
      )
    : size;
}
