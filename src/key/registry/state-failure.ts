/**
 * @module What a failed write in the state directory means: from the system's error names to the codes of this layer.
 */
import { errnoOf } from "../../base/errno.ts";
import { isRegistryError, RegistryError } from "./errors.ts";

const READ_ONLY: ReadonlySet<string> = new Set([
  "EROFS",
  "EACCES",
  "EPERM",
  "SQLITE_READONLY",
  "SQLITE_CANTOPEN",
]);
const FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EFBIG", "SQLITE_FULL"]);

/** The state could not be written; what is loaded stays in use and nothing is promoted. */
export function writeFailure(error: unknown, doing: string, path: string): RegistryError {
  const errno = errnoOf(error) ?? "unknown error";
  const rest = `; the provider serves on with the state that it has and promotes nothing`;
  if (READ_ONLY.has(errno)) {
    return new RegistryError({
      code: "state_read_only",
      message: `state.path: cannot ${doing} ${path}: read-only or no permission (${errno})${rest}`,
      advice:
        "make the state directory writable for the service's user (in the unit: ReadWritePaths=), " +
        "and check whether its file system was remounted read-only",
      cause: error,
    });
  }
  if (FULL.has(errno)) {
    return new RegistryError({
      code: "state_full",
      message: `state.path: cannot ${doing} ${path}: no space left (${errno})${rest}`,
      advice: "free some space or quota on the file system of the state directory; a few KiB are enough",
      cause: error,
    });
  }
  return new RegistryError({
    code: "state_io",
    message: `state.path: cannot ${doing} ${path} (${errno})${rest}`,
    advice: "see the kernel log for errors of the disk or file system under the state directory",
    cause: error,
  });
}

/** The error itself when this layer made it, else what its errno means for a write of `path`. */
export function asWriteFailure(error: unknown, path: string): RegistryError {
  return isRegistryError(error) ? error : writeFailure(error, "write", path);
}
