/** @module How this program starts itself once more. The executable alone, or Bun with the source that it runs. */
import { join } from "node:path";

declare const BUILD_VERSION: string | undefined;

/** Where Bun mounts the files that are compiled into an executable. */
const COMPILED_ROOT = "/$bunfs/";

/** First arguments that are for this program alone; `main.ts` takes them before it looks for a command. */
export const HIDDEN = {
  asUser: "as-user",
  pkcs11Helper: "pkcs11-helper",
  /** One change of the registry, read from standard input. */
  writeRegistry: "write-registry",
} as const;

export function selfCommand(
  args: readonly string[],
  executable = process.execPath,
  entry = Bun.main,
): readonly [string, ...string[]] {
  if (entry.startsWith(COMPILED_ROOT)) {
    return [executable, ...args];
  }
  // The build defines BUILD_VERSION and drops what follows, with the folder that the bundler would write into the executable.
  return typeof BUILD_VERSION === "string"
    ? [executable, entry, ...args]
    : [executable, join(import.meta.dir, "..", "main.ts"), ...args];
}
