/** @module A file that a command writes on request. It replaces nothing and follows no link. */
import { lstat, open } from "node:fs/promises";
import { errnoOf } from "../../base/errno.ts";
import { ProviderError } from "../../base/error-class.ts";
import { CommandError } from "../../cli/errors.ts";

/** Refuses an existing output file before long work. Throws CommandError `file_exists`. */
export async function refuseExisting(path: string, field: string): Promise<void> {
  const present = await lstat(path).catch(() => undefined);
  if (present !== undefined) {
    throw fileExists(path, field);
  }
}

function fileExists(path: string, field: string, cause?: unknown): CommandError {
  return new CommandError(
    "file_exists",
    `${field}: ${path} exists already`,
    "name a file that does not exist",
    cause,
  );
}

/** Writes and syncs `text`. `field` is the flag that named the path. @throws ProviderError */
export async function writeNewFile(path: string, text: string, field: string): Promise<void> {
  try {
    const file = await open(path, "wx", 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (errnoOf(cause) === "EEXIST") {
      throw fileExists(path, field, cause);
    }
    throw new ProviderError({
      code: "file_not_written",
      errorClass: "unknown",
      message: `${field}: ${path} cannot be written (${errnoOf(cause) ?? "unknown reason"})`,
      advice: "check that its directory exists, belongs to you and has free space",
      cause,
    });
  }
}
