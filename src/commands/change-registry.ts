/** @module A change of the registry, written with the rights of the state directory's owner: by root in a process of that owner. */
import { dirname } from "node:path";
import * as v from "valibot";
import { systemClock } from "../base/clock.ts";
import { directoryOwner, type UnixCredentials } from "../base/drop-privileges.ts";
import { errnoOf } from "../base/errno.ts";
import { parseJson } from "../base/parse-json.ts";
import { readBounded } from "../base/read-bounded.ts";
import { HIDDEN } from "../base/self-command.ts";
import { runAs } from "../base/spawn-as-user.ts";
import { visibleLines } from "../base/visible-text.ts";
import type { ProviderConfig } from "../config/schema.ts";
import { IDENTITY_FIELDS, type IdentityHashes, identityHashes } from "../key/identity/fingerprint.ts";
import { decodeRecord, encodeRecord } from "../key/registry/encoding.ts";
import { REGISTRY_CODES, RegistryError } from "../key/registry/errors.ts";
import { MAX_REGISTRY_BYTES, type RegistryContent } from "../key/registry/record.ts";
import { configIdentity, openRegistryFile } from "../provider/registry.ts";

export interface RegistryChange {
  readonly statePath: string;
  readonly identity: IdentityHashes;
  /** The hash of the record that the content was planned on; absent where a lost registry begins anew. */
  readonly base: string | undefined;
  readonly content: RegistryContent;
}

/** The record is quoted once more as a JSON string, at most six bytes for each of its own. */
export const MAX_CHANGE_BYTES = 6 * MAX_REGISTRY_BYTES + 64 * 1024;
const MAX_OUTCOME_BYTES = 64 * 1024;
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

/** The lock is waited for 2 s; a disk that takes longer than this is stuck. */
const WRITE_MS = 30_000;

/** The hash of the new record. @throws RegistryError when nothing could be written, or the signal's reason. */
export async function changeRegistry(
  config: ProviderConfig,
  base: string | undefined,
  content: RegistryContent,
  signal: AbortSignal,
): Promise<string> {
  const statePath = config.state.path;
  const change = { statePath, identity: identityHashes(configIdentity(config)), base, content };
  const euid = process.geteuid?.() ?? 0;
  const owner = euid === 0 ? stateDirectoryOwner(statePath) : undefined;
  if (owner === undefined) {
    return applyChange(change, euid, signal);
  }
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(WRITE_MS)]);
  const { stdout } = await runAs({
    identity: { ...owner, groups: [] },
    args: [HIDDEN.writeRegistry],
    input: encodeChange(change),
    maxBytes: MAX_OUTCOME_BYTES,
    signal: bounded,
  });
  return decodeOutcome(stdout);
}

function stateDirectoryOwner(statePath: string): Omit<UnixCredentials, "groups"> | undefined {
  try {
    return directoryOwner(dirname(statePath));
  } catch (cause) {
    const isMissing = errnoOf(cause) === "ENOENT";
    throw new RegistryError({
      code: isMissing ? "state_directory_missing" : "state_directory_unsafe",
      message: `state.path: the directory of ${statePath} ${isMissing ? "does not exist" : "can be changed by users other than its owner"}`,
      advice: "create it as the package does: owner openbao-kms, group openbao-kms, mode 0750",
      cause,
    });
  }
}

/** Writes the change in this process, which must run as the owner of the state directory. */
async function applyChange(
  { statePath, identity, base, content }: RegistryChange,
  euid: number,
  signal: AbortSignal,
): Promise<string> {
  const store = openRegistryFile(statePath, identity, { euid, clock: systemClock });
  if (base === undefined) {
    return (await store.rebuild(content, signal)).stored.hash;
  }
  const state = await store.load();
  if (state.kind === "missing" || state.stored.hash !== base) {
    throw new RegistryError({
      code: state.kind === "missing" ? "registry_lost" : "registry_changed",
      message: `state.path: ${statePath} is not the registry of the plan; nothing was changed`,
      advice: "run the command again without --apply and review the plan",
    });
  }
  return (await store.commit(state.stored, content, signal)).stored.hash;
}

/** The process of the owner, never of root. Its exit code; the outcome that it writes tells more. */
export async function runRegistryWriter(): Promise<number> {
  const euid = process.geteuid?.() ?? 0;
  const input = euid === 0 ? undefined : await readBounded(Bun.stdin.stream(), MAX_CHANGE_BYTES);
  const change = input === undefined ? undefined : decodeChange(input);
  if (change === undefined) {
    return 2;
  }
  try {
    const hash = await applyChange(change, euid, new AbortController().signal);
    await Bun.write(Bun.stdout, encodeOutcome({ hash }));
    return 0;
  } catch (error) {
    if (error instanceof RegistryError) {
      await Bun.write(Bun.stdout, encodeOutcome(error));
    }
    return 1;
  }
}

/** @throws RegistryError when the content breaks a rule of every registry. */
export function encodeChange({ statePath, identity, base, content }: RegistryChange): string {
  const { bytes } = encodeRecord({ ...content, generation: 1, previousHashes: [] });
  const record = Buffer.from(bytes).toString("utf8");
  return JSON.stringify({ statePath, identity, base, record });
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
  if (!(outcome instanceof RegistryError)) {
    return JSON.stringify({ ok: true, hash: outcome.hash });
  }
  const { code, message, advice } = outcome;
  return JSON.stringify({ ok: false, code, message, advice });
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
  throw new RegistryError({ code, message, advice });
}
