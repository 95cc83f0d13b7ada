/** @module kube-apiserver's rules for the values: validation_encryption.go and encryptionconfig/config.go of k8s.io/apiserver. */
import type { Secret } from "../../base/secret.ts";
import { ANY, groupResource, type KeyedKind, type ResourceGroup } from "./config.ts";
import { socketPathOf } from "./kms-endpoint.ts";
import { type FieldPosition, refuse } from "./refusal.ts";

/** Resources without a REST API, which kube-apiserver does not encrypt. */
const INTERNAL = new Set(["apiserveripinfo", "serviceipallocations", "servicenodeportallocations"]);

export function checkResources(resources: readonly string[], at: FieldPosition): void {
  if (resources.length === 0) {
    refuse("resources_empty", at);
  }
  const seen = new Set<string>();
  for (const [index, name] of resources.entries()) {
    const problem = nameProblem(name);
    if (problem !== undefined) {
      refuse("resource_name", { path: `${at.path}[${index}]`, line: at.line }, problem[0], problem[1]);
    }
    const { group, resource } = groupResource(name);
    if (seen.has(`${resource}.${group}`)) {
      refuse("resource_twice", at);
    }
    seen.add(`${resource}.${group}`);
  }
  if (hasOverlap(resources)) {
    refuse("resource_overlap", at);
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
export function checkMasking(groups: readonly ResourceGroup[], at: (index: number) => FieldPosition): void {
  const wildcards = new Set<string>();
  for (const [index, { resources }] of groups.entries()) {
    for (const name of resources) {
      const { group, resource } = groupResource(name);
      if (wildcards.has(ANY) || wildcards.has(group)) {
        refuse("resource_masked", at(index));
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

export function checkKey(
  kind: KeyedKind,
  name: string,
  secret: Secret,
  { at }: { readonly at: (name: string) => FieldPosition },
): void {
  if (name === "") {
    refuse("key_name", at("name"));
  }
  const place = at("secret");
  const bytes = keyBytes(secret);
  if (secret.expose() === "") {
    refuse("key_secret_missing", place);
  }
  if (bytes === undefined) {
    refuse("key_secret_base64", place);
  }
  if (!KEY_BYTES[kind].includes(bytes.length)) {
    const what = `${bytes.length} bytes at ${place.path}; ${kind} takes ${KEY_BYTES[kind].join(", ")}`;
    refuse("key_secret_length", place, what);
  }
}

/** The key itself; undefined when it is not base64. Go's decoder skips line breaks. */
export function keyBytes(secret: Secret): Uint8Array | undefined {
  const text = secret.expose().replace(/[\r\n]/g, "");
  return BASE64.test(text) ? Buffer.from(text, "base64") : undefined;
}

export function kmsApiVersion(text: string, at: FieldPosition): "v1" | "v2" {
  const version = text === "" ? "v1" : text;
  return version === "v1" || version === "v2" ? version : refuse("kms_version", at);
}

export function checkKmsName(
  name: string,
  apiVersion: "v1" | "v2",
  names: Set<string>,
  at: FieldPosition,
): void {
  if (name === "") {
    refuse("kms_name", at, "no text", "give the provider a name");
  }
  if (apiVersion === "v2" && name.includes(":")) {
    refuse("kms_name", at, "a colon");
  }
  if (apiVersion === "v2" && names.has(name)) {
    refuse("kms_name_twice", at);
  }
  names.add(name);
}

const DEFAULT_TIMEOUT_MS = 3000;

export function kmsTimeoutMs(text: string | undefined, at: FieldPosition): number {
  if (text === undefined) {
    return DEFAULT_TIMEOUT_MS;
  }
  const ns = goDurationNs(text);
  return ns !== undefined && ns > 0n ? Number(ns) / 1e6 : refuse("kms_timeout", at);
}

export function kmsEndpoint(text: string, at: FieldPosition): string {
  return socketPathOf(text) === undefined ? refuse("kms_endpoint", at) : text;
}

export function kmsCacheSize(
  size: number | undefined,
  apiVersion: "v1" | "v2",
  at: FieldPosition,
): number | undefined {
  if (size !== undefined && apiVersion === "v2") {
    refuse("kms_cachesize", at, `a value at ${at.path}, which KMS v2 does not have`);
  }
  return size === 0
    ? refuse(
        "kms_cachesize",
        at,
        `0 at ${at.path}`,
        "write a number above zero, or a negative one for no cache",
      )
    : size;
}

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

const GO_DURATION = /^([-+]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const DURATION_PART = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/g;
const MAX_NS = 2n ** 63n - 1n;

/** As Go's time.ParseDuration, to the nanosecond and with its overflow; undefined when Go refuses the text. */
export function goDurationNs(text: string): bigint | undefined {
  if (/^[-+]?0$/.test(text)) {
    return 0n;
  }
  const whole = GO_DURATION.exec(text);
  if (whole === null) {
    return undefined;
  }
  let total = 0n;
  for (const [, integer = "", fraction = "", unit = ""] of (whole[2] ?? "").matchAll(DURATION_PART)) {
    const unitNs = UNIT_NS[unit] ?? 0;
    // Go cuts a fraction of a nanosecond off; digits past the 18th do not reach one.
    const digits = fraction.slice(0, 18);
    const part = Math.floor(Number(`0${digits}`) * (unitNs / 10 ** digits.length));
    total += BigInt(`0${integer}`) * BigInt(unitNs) + BigInt(part);
  }
  return total > MAX_NS ? undefined : whole[1] === "-" ? -total : total;
}
