/** @module Which error of the operating system was thrown. */

/** The system's name of a failed operation, `ENOSPC` for instance; `undefined` for what is not such an error. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** The same for a message. */
export function reasonOf(error: unknown): string {
  return errnoOf(error) ?? "unknown reason";
}
