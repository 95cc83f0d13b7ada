/** @module Where the registry is, and whether that directory can be trusted. */
import { dirname } from "node:path";
import { errnoOf } from "../../base/errno.ts";
import type { IdentityHashes } from "../identity/fingerprint.ts";
import { RegistryError } from "./errors.ts";
import type { FileFacts, StateFiles } from "./file-system.ts";

export interface StateOptions {
  readonly statePath: string;
  readonly identity: IdentityHashes;
  /** `write` for the daemon and for what changes state; `read` also serves root looking into another user's directory. */
  readonly access: "read" | "write";
  readonly euid: number;
  readonly files: StateFiles;
}

/**
 * The state directory: there, this user's, closed to others.
 * @throws RegistryError `state_directory_missing` or `state_directory_unsafe`.
 */
export async function checkStateDirectory(options: StateOptions): Promise<FileFacts> {
  const path = dirname(options.statePath);
  const install = `install -d -o ${options.euid} -m 0750 ${path}`;
  const unsafe = (problem: string, advice: string, cause?: unknown): RegistryError =>
    new RegistryError({
      code: "state_directory_unsafe",
      message: `state.path: the directory ${path} ${problem}`,
      advice,
      cause,
    });
  let facts: FileFacts;
  try {
    facts = await options.files.stat(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") {
      throw new RegistryError({
        code: "state_directory_missing",
        message: `state.path: the directory ${path} does not exist`,
        advice: `${install}; if this node had state before, copy ${options.statePath} and ${options.statePath}.checkpoint into it from a healthy node of the same control plane`,
        cause: error,
      });
    }
    throw unsafe(
      `cannot be examined (${errnoOf(error) ?? "unknown error"})`,
      `make ${path} reachable`,
      error,
    );
  }
  if (facts.kind !== "directory") {
    throw unsafe("is not a directory", "name a file in a directory of its own in state.path");
  }
  const mayOnlyRead = options.access === "read" && (options.euid === 0 || facts.uid === 0);
  if (facts.uid !== options.euid && !mayOnlyRead) {
    throw unsafe(
      `belongs to uid ${facts.uid}, but this process runs as uid ${options.euid}`,
      // Root must never become the owner: the service could then not write its own state.
      options.euid === 0
        ? `run this as uid ${facts.uid}, the owner of the state directory`
        : `run this as uid ${facts.uid}, or: chown ${options.euid} ${path}`,
    );
  }
  if ((facts.mode & 0o022) !== 0) {
    throw unsafe("can be written by its group or by others", `chmod go-w ${path}`);
  }
  return facts;
}
