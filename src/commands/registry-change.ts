/** @module A change of the registry as bytes on a pipe, and its outcome. Both ends decode hostile bytes. */
import * as v from "valibot";
import { parseJson } from "../base/parse-json.ts";
import { visibleLines } from "../base/visible-text.ts";
import { IDENTITY_FIELDS, type IdentityHashes } from "../key/identity/fingerprint.ts";
import { decodeRecord, encodeRecord } from "../key/registry/encoding.ts";
import { REGISTRY_CODES, RegistryError } from "../key/registry/errors.ts";
import { MAX_REGISTRY_BYTES, type RegistryContent } from "../key/registry/record.ts";

export interface RegistryChange {
  readonly statePath: string;
  readonly identity: IdentityHashes;
  /** The hash of the record that the content was planned on; absent where a lost registry begins anew. */
  readonly base: string | undefined;
  readonly content: RegistryContent;
}

/** The record is quoted once more as a JSON string, at most six bytes for each of its own. */
export const MAX_CHANGE_BYTES = 6 * MAX_REGISTRY_BYTES + 64 * 1024;
export const MAX_OUTCOME_BYTES = 64 * 1024;
const MAX_PATH = 4096;
const MAX_MESSAGE = 4096;

const HASH = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/));
const CHANGE = v.strictObject({
  statePath: v.pipe(v.string(), v.maxLength(MAX_PATH), v.startsWith("/"), v.excludes("\0")),
  identity: v.strictObject(v.entriesFromList(IDENTITY_FIELDS, HASH)),
  base: v.exactOptional(HASH),
  record: v.pipe(v.string(), v.maxLength(MAX_REGISTRY_BYTES)),
});

const MESSAGE = v.pipe(
  v.string(),
  v.maxLength(MAX_MESSAGE),
  v.transform((text) => visibleLines(text, false)),
);
const OUTCOME = v.variant("ok", [
  v.strictObject({ ok: v.literal(true), hash: HASH }),
  v.strictObject({
    ok: v.literal(false),
    code: v.picklist(REGISTRY_CODES),
    message: MESSAGE,
    advice: v.exactOptional(MESSAGE),
  }),
]);

/** @throws RegistryError when the content breaks a rule of every registry. */
export function encodeChange({ statePath, identity, base, content }: RegistryChange): string {
  const { bytes } = encodeRecord({ ...content, generation: 1, previousHashes: [] });
  const record = Buffer.from(bytes).toString("utf8");
  return JSON.stringify({ statePath, identity, ...(base === undefined ? {} : { base }), record });
}

/** `undefined` for anything that {@link encodeChange} does not write. */
export function decodeChange(bytes: Uint8Array): RegistryChange | undefined {
  const parsed = v.safeParse(CHANGE, bytes.length > MAX_CHANGE_BYTES ? undefined : parseJson(bytes));
  if (!parsed.success) {
    return undefined;
  }
  const { statePath, identity, base, record } = parsed.output;
  const decoded = decodeRecord(Buffer.from(record, "utf8"));
  if (decoded.kind !== "record") {
    return undefined;
  }
  const { generation, previousHashes: _, ...content } = decoded.record;
  return generation === 1 ? { statePath, identity, base, content } : undefined;
}

export function encodeOutcome(outcome: { readonly hash: string } | RegistryError): string {
  return JSON.stringify(
    outcome instanceof RegistryError
      ? {
          ok: false,
          code: outcome.code,
          message: outcome.message,
          ...(outcome.advice === undefined ? {} : { advice: outcome.advice }),
        }
      : { ok: true, hash: outcome.hash },
  );
}

/** The hash of the new record. @throws the RegistryError that the other process met, or one that it did not answer. */
export function decodeOutcome(text: string): string {
  const parsed = v.safeParse(OUTCOME, parseJson(text));
  if (!parsed.success) {
    throw new RegistryError({
      code: "state_io",
      message: "state.path: the process that writes the registry as its owner did not answer",
      advice: "run the command again without --apply to see the state, and report this as a defect",
    });
  }
  if (parsed.output.ok) {
    return parsed.output.hash;
  }
  const { code, message, advice } = parsed.output;
  throw new RegistryError({ code, message, ...(advice === undefined ? {} : { advice }) });
}
