/** @module Reads one of the two state files: opened once, trusted only as far as its descriptor shows. */
import { errnoOf } from "../../base/errno.ts";
import { RegistryError } from "./errors.ts";
import type { FileFacts, OpenFile } from "./file-system.ts";
import type { StateOptions } from "./state-directory.ts";

export interface StateFile {
  readonly bytes: Uint8Array;
  readonly facts: FileFacts;
}

export function checkpointPath(statePath: string): string {
  return `${statePath}.checkpoint`;
}

/**
 * The whole file, checked on the descriptor that is then read; `undefined` when nothing is there.
 * @throws RegistryError `…_unsafe` for what is no private file of the directory's owner or root, `…_unreadable`.
 */
export async function readStateFile(
  options: StateOptions,
  which: "registry" | "checkpoint",
  maxBytes: number,
  directory: FileFacts,
): Promise<StateFile | undefined> {
  const path = which === "registry" ? options.statePath : checkpointPath(options.statePath);
  const fail = (
    kind: "unsafe" | "unreadable",
    problem: string,
    advice: string,
    cause?: unknown,
  ): RegistryError =>
    new RegistryError({
      code: `${which}_${kind}`,
      message: `state.path: ${path} ${problem}`,
      advice,
      cause,
    });
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
    const bytes = await file.read(maxBytes);
    return { bytes, facts };
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
