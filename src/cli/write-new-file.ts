/**
 * A file that a command writes because it was asked to.
 *
 * @module Never replaces what is there, never follows a link that waits in its place.
 */
import { open } from "node:fs/promises";
import { ProviderError } from "../base/error-class.ts";

export class WriteFileError extends ProviderError<"file_exists" | "file_not_written"> {}

/** Writes and syncs `text`. `field` is the flag that named the path. Throws WriteFileError. */
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
    const exists = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    throw new WriteFileError({
      code: exists ? "file_exists" : "file_not_written",
      errorClass: "unknown",
      message: exists ? `${field}: ${path} exists already` : `${field}: ${path} cannot be written`,
      advice: exists
        ? "name a file that does not exist"
        : `see that its directory exists, is yours and has space`,
      cause,
    });
  }
}
