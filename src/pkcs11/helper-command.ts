/**
 * How the provider starts itself as a helper.
 *
 * @module The hidden argument, and the command line with it. Apart from helper.ts, so that asking whether this process is
 * a helper loads nothing of it.
 */

export const HELPER_ARGUMENT = "pkcs11-helper";

/** Where Bun mounts the files that are compiled into an executable. */
const COMPILED_ROOT = "/$bunfs/";

/** The running program with the hidden argument: the executable alone, or Bun and the source that it runs. */
export function helperCommand(executable: string, mainPath: string): readonly [string, ...string[]] {
  return mainPath.startsWith(COMPILED_ROOT)
    ? [executable, HELPER_ARGUMENT]
    : [executable, mainPath, HELPER_ARGUMENT];
}
