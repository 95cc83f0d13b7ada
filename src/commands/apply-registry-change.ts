/** @module Writes a change of the registry, always with the rights of the state directory's owner. */
import { dirname } from "node:path";
import { type Clock, systemClock } from "../base/clock.ts";
import { errnoOf } from "../base/errno.ts";
import { directoryOwner, type UnixCredentials } from "../base/privileges.ts";
import { runAs } from "../base/run-as.ts";
import { HIDDEN } from "../base/self-command.ts";
import type { ProviderConfig } from "../config/schema.ts";
import { identityHashes } from "../key/identity/fingerprint.ts";
import { RegistryError } from "../key/registry/errors.ts";
import type { RegistryContent } from "../key/registry/record.ts";
import { configIdentity, openRegistryAt } from "../provider/registry.ts";
import { decodeOutcome, encodeChange, MAX_OUTCOME_BYTES, type RegistryChange } from "./registry-change.ts";

/** The lock is waited for 2 s; a disk that takes longer than this is stuck. */
const WRITE_MS = 30_000;

/**
 * The hash of the new record.
 * @throws RegistryError when nothing could be written, or the signal's reason.
 */
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
    return applyChange(change, { euid, clock: systemClock }, signal);
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

/** The same in this process, which must be the owner's. */
export async function applyChange(
  { statePath, identity, base, content }: RegistryChange,
  { euid, clock }: { readonly euid: number; readonly clock: Clock },
  signal: AbortSignal,
): Promise<string> {
  const store = openRegistryAt({ statePath, identity, euid, clock, access: "write" });
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
