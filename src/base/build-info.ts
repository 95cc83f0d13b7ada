/** @module The program's name, and the two constants that scripts/build.ts stamps into the executable. */

declare const BUILD_VERSION: string | undefined;
declare const BUILD_COMMIT: string | undefined;

export const PROGRAM = "bao-kms-provider";

export const buildInfo = {
  version: typeof BUILD_VERSION === "string" ? BUILD_VERSION : "0.0.0-source",
  commit: typeof BUILD_COMMIT === "string" ? BUILD_COMMIT : "unknown",
} as const;
