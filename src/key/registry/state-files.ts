/** @module The state directory and its two files: opened once, trusted only as far as the descriptor shows. */
import { dirname } from "node:path";
import { errnoOf } from "../../base/errno.ts";
import type { IdentityHashes } from "../identity/fingerprint.ts";
import { MAX_CHECKPOINT_BYTES } from "./checkpoint.ts";
import { RegistryError } from "./errors.ts";
import type { FileFacts, OpenFile, StateFiles } from "./file-system.ts";
import { checkpointPath, MAX_REGISTRY_BYTES } from "./record.ts";

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
        advice: `install -d -o ${options.euid} -m 0750 ${path}; if this node had state before, copy ${options.statePath} and ${checkpointPath(options.statePath)} into it from a healthy node of the same control plane`,
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

export interface StateFile {
  readonly bytes: Uint8Array;
  readonly facts: FileFacts;
}

const MAX_BYTES = { registry: MAX_REGISTRY_BYTES, checkpoint: MAX_CHECKPOINT_BYTES } as const;

/**
 * The whole file, checked on the descriptor that is then read; `undefined` when nothing is there.
 * @throws RegistryError `…_unsafe` for what is no private file of the directory's owner or root, `…_unreadable`.
 */
export async function readStateFile(
  options: StateOptions,
  which: keyof typeof MAX_BYTES,
  directory: FileFacts,
): Promise<StateFile | undefined> {
  const path = which === "registry" ? options.statePath : checkpointPath(options.statePath);
  const fail = (kind: "unsafe" | "unreadable", problem: string, advice: string, cause?: unknown) =>
    new RegistryError({ code: `${which}_${kind}`, message: `state.path: ${path} ${problem}`, advice, cause });
  let file: OpenFile;
  try {
    file = await options.files.open(path, "read");
  } catch (error) {
    const errno = errnoOf(error) ?? "unknown error";
    if (errno === "ENOENT") {
      return undefined;
    }
    throw errno === "ELOOP" || errno === "EMLINK"
      ? fail("unsafe", "is a symbolic link", "put the file itself there", error)
      : fail("unreadable", `cannot be opened (${errno})`, `let the service's user read ${path}`, error);
  }
  try {
    const facts = await file.facts();
    if (facts.kind !== "file") {
      throw fail("unsafe", "is not a regular file", `move away what is at ${path}`);
    }
    if (facts.uid !== 0 && facts.uid !== directory.uid) {
      throw fail(
        "unsafe",
        `belongs to uid ${facts.uid}`,
        `find out who put it there, then: chown ${directory.uid} ${path}`,
      );
    }
    if ((facts.mode & 0o022) !== 0) {
      throw fail(
        "unsafe",
        "can be written by its group or by others",
        `check that it was not changed, then: chmod 0600 ${path}`,
      );
    }
    return { bytes: await file.read(MAX_BYTES[which]), facts };
  } catch (error) {
    throw error instanceof RegistryError
      ? error
      : fail(
          "unreadable",
          `cannot be read (${errnoOf(error) ?? "unknown error"})`,
          "see the kernel log",
          error,
        );
  } finally {
    await file.close();
  }
}
