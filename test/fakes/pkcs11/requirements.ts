/**
 * @module What the tests with a token need beside this repository, and what to do without it. Finds SoftHSM and the built
 * addons. Without one of them the suites are skipped with the reason; with REQUIRE_REAL=1 that is a failure.
 */
import { describe } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";

export const ADDON_DIRECTORY = join(import.meta.dir, "../../../dist/native");

const MODULE_PATHS = [
  process.env["SOFTHSM2_MODULE"] ?? "",
  "/usr/lib/softhsm/libsofthsm2.so",
  "/usr/lib64/pkcs11/libsofthsm2.so",
  "/usr/lib64/softhsm/libsofthsm2.so",
];

export const SOFTHSM_MODULE = MODULE_PATHS.find((path) => path !== "" && existsSync(path)) ?? "";

function missing(): string | undefined {
  if (SOFTHSM_MODULE === "" || Bun.which("softhsm2-util") === null) {
    return "SoftHSM is not installed (Debian: softhsm2)";
  }
  if (!existsSync(join(ADDON_DIRECTORY, "tls.node"))) {
    return "the native addons are not built (native/build dist/native)";
  }
  return undefined;
}

/** `describe` for suites with a token. */
export function describeWithToken(name: string, body: () => void): void {
  const reason = missing();
  if (reason !== undefined && process.env["REQUIRE_REAL"] === "1") {
    throw new Error(`REQUIRE_REAL=1, but ${reason}`);
  }
  if (reason !== undefined) {
    console.log(`skipped: ${name}: ${reason}`);
  }
  describe.skipIf(reason !== undefined)(name, body);
}
