/** @module The one encoder and the one decoder of registry files. What is refused on reading is never written. */
import { createHash } from "node:crypto";
import * as v from "valibot";
import { decodeUtf8, parseJson } from "../../base/parse-json.ts";
import { sortedCopy } from "../../base/sorted-copy.ts";
import { ciphertextVersion } from "../../openbao/transit/ciphertext.ts";
import { IDENTITY_FIELDS } from "../identity/fingerprint.ts";
import { type FileRefusal, RegistryError } from "./errors.ts";
import { MAX_REGISTRY_BYTES, type RegistryRecord, recordProblem, VERSION_STATES } from "./record.ts";

const REGISTRY_FORMAT = "bao-kms-provider.registry";
const REGISTRY_FORMAT_VERSION = 1;

export type Decoded =
  | { readonly kind: "record"; readonly record: RegistryRecord; readonly hash: string }
  | { readonly kind: "refused"; readonly code: FileRefusal; readonly detail?: string };

export const HASH = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/));
const VERSION = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const TIME = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const TEXT = v.pipe(v.string(), v.maxLength(1024));
const CIPHERTEXT = v.pipe(
  v.string(),
  v.check((text) => ciphertextVersion(text) !== undefined),
);

/** Loose everywhere: what a newer minor release added is kept and written back. */
const BODY = v.looseObject({
  generation: VERSION,
  previousHashes: v.array(HASH),
  identity: v.looseObject(v.entriesFromList(IDENTITY_FIELDS, HASH)),
  fingerprint: v.pipe(v.string(), v.maxLength(64)),
  versions: v.array(
    v.looseObject({
      version: VERSION,
      createdAtUnix: TIME,
      state: v.picklist(VERSION_STATES),
      firstSeenUnixMs: TIME,
      activatedUnixMs: v.exactOptional(TIME),
      marker: v.exactOptional(CIPHERTEXT),
    }),
  ),
  observation: v.exactOptional(
    v.looseObject({
      version: VERSION,
      createdAtUnix: TIME,
      count: VERSION,
      stableForMs: v.pipe(v.number(), v.finite(), v.minValue(0)),
      lastSeenUnixMs: TIME,
      lastSeenBootMs: TIME,
    }),
  ),
  notes: v.exactOptional(v.array(v.looseObject({ atUnixMs: TIME, kind: TEXT, by: TEXT, reason: TEXT }))),
});

const ENVELOPE = v.strictObject({
  format: v.literal(REGISTRY_FORMAT),
  formatVersion: VERSION,
  hash: HASH,
  body: v.unknown(),
});

/** Every file of ours begins with this, also a torn one. */
const OPENING = `{\n  "format": "${REGISTRY_FORMAT}"`;

/** Checks size, text, format, hash, shape and rules, in this order. Never throws; `detail` has no content of the file. */
export function decodeRecord(bytes: Uint8Array): Decoded {
  if (bytes.length > MAX_REGISTRY_BYTES) {
    return { kind: "refused", code: "registry_too_large" };
  }
  const text = decodeUtf8(bytes);
  const value = text === undefined ? undefined : parseJson(text);
  return text === undefined || value === undefined
    ? { kind: "refused", code: isTorn(bytes) ? "registry_torn" : "registry_foreign" }
    : decodeParsed(text, value);
}

function decodeParsed(text: string, value: unknown): Decoded {
  if (isOfGo(value)) {
    return { kind: "refused", code: "registry_of_go" };
  }
  if (!v.is(v.object({ format: v.literal(REGISTRY_FORMAT) }), value)) {
    return { kind: "refused", code: "registry_foreign" };
  }
  const version = v.safeParse(v.object({ formatVersion: VERSION }), value);
  if (version.success && version.output.formatVersion > REGISTRY_FORMAT_VERSION) {
    return {
      kind: "refused",
      code: "registry_newer",
      detail: `format version ${version.output.formatVersion}, known is ${REGISTRY_FORMAT_VERSION}`,
    };
  }
  const envelope = v.safeParse(ENVELOPE, value);
  if (!envelope.success) {
    return { kind: "refused", code: "registry_edited" };
  }
  const body = sorted(envelope.output.body);
  const hash = envelope.output.hash;
  // Byte for byte: then no edit, however it is spelled, goes unnoticed.
  if (body === undefined || fileText(hash, body) !== text || bodyHash(body) !== hash) {
    return { kind: "refused", code: "registry_edited" };
  }
  const record = v.safeParse(BODY, body);
  if (!record.success) {
    const path = v.getDotPath(record.issues[0]);
    return { kind: "refused", code: "registry_invariant", detail: `the shape of ${path ?? "the body"}` };
  }
  const problem = recordProblem(record.output);
  return problem === undefined
    ? { kind: "record", record: record.output, hash }
    : { kind: "refused", code: "registry_invariant", detail: problem };
}

/** The Go implementation (0.1.x) names its files' schema so. */
export function isOfGo(value: unknown): boolean {
  return v.is(
    v.object({ schemaVersion: v.pipe(v.string(), v.startsWith("keyregistry.openbao-kms/")) }),
    value,
  );
}

/** Bytes that a crash leaves, as against bytes of another program: nothing, zeros, or our own beginning. */
function isTorn(bytes: Uint8Array): boolean {
  const start = Buffer.from(OPENING);
  const head = Buffer.from(bytes.subarray(0, start.length));
  return head.equals(start.subarray(0, head.length)) || bytes.every((byte) => byte === 0);
}

function sorted(body: unknown): unknown {
  try {
    return sortedCopy(body);
  } catch {
    return undefined;
  }
}

/** The self hash: over format, format version and the sorted body. */
export function bodyHash(sortedBody: unknown): string {
  return createHash("sha256")
    .update(`${REGISTRY_FORMAT}\0${REGISTRY_FORMAT_VERSION}\0`)
    .update(JSON.stringify(sortedBody))
    .digest("base64url");
}

/** The file's text. Format and hash come first, so that even a torn file says whose it is. */
export function fileText(hash: string, sortedBody: unknown): string {
  return `${JSON.stringify(
    { format: REGISTRY_FORMAT, formatVersion: REGISTRY_FORMAT_VERSION, hash, body: sortedBody },
    null,
    2,
  )}\n`;
}

/** @throws RegistryError `registry_invariant` or `registry_too_large`; both mean that nothing may be written. */
export function encodeRecord(record: RegistryRecord): { readonly bytes: Uint8Array; readonly hash: string } {
  const problem = recordProblem(record);
  if (problem !== undefined) {
    throw new RegistryError({
      code: "registry_invariant",
      message: `a registry that breaks its own rules was not written: ${problem}`,
      advice: "report this as a defect; the state on disk is unchanged",
    });
  }
  const body = sortedCopy(record);
  const hash = bodyHash(body);
  const bytes = Buffer.from(fileText(hash, body), "utf8");
  if (bytes.length > MAX_REGISTRY_BYTES) {
    throw new RegistryError({
      code: "registry_too_large",
      message: `the registry would grow beyond ${MAX_REGISTRY_BYTES} bytes with ${record.versions.length} versions`,
      advice: "rotate the key less often; the state on disk is unchanged",
    });
  }
  return { bytes, hash };
}
