import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HelperFailure } from "./errors.ts";
import { addonProblem, INSTALLED_ADDONS, loadNativeAddons, type NativeAddonPlace } from "./helper-main.ts";

let directory: string;
let place: NativeAddonPlace;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "addons-"));
  place = { directory, extraOwners: [process.geteuid?.() ?? 0] };
  for (const file of ["tls.node", "pkcs11.node"]) {
    writeFileSync(join(directory, file), "not an addon", { mode: 0o644 });
  }
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("the native addons", () => {
  test("are taken from the place of the packages, and only root's", () => {
    expect(INSTALLED_ADDONS).toEqual({ directory: "/usr/lib/openbao-kms", extraOwners: [] });
  });

  test("are found when directory and files are of a trusted owner and writable only by it", () => {
    expect(addonProblem(place)).toBeUndefined();
  });

  test("missing, linked or writable by others, they are not loaded", () => {
    const file = join(directory, "pkcs11.node");
    chmodSync(file, 0o664);
    expect(addonProblem(place)).toEqual({ code: "addon_unsafe", path: file });
    rmSync(file);
    expect(addonProblem(place)).toEqual({ code: "addon_missing", path: file });
    symlinkSync(join(directory, "tls.node"), file);
    expect(addonProblem(place)).toEqual({ code: "addon_unsafe", path: file });
    chmodSync(directory, 0o777);
    expect(addonProblem(place)).toEqual({ code: "addon_unsafe", path: directory });
  });

  test.skipIf(process.geteuid?.() !== 0)("of another user, they are not loaded", () => {
    const file = join(directory, "tls.node");
    chownSync(file, 4711, 4711);
    expect(addonProblem(place)).toEqual({ code: "addon_unsafe", path: file });
  });

  test("that are something else are broken", () => {
    expect(codeOf(() => loadNativeAddons(place))).toBe("addon_broken");
    rmSync(directory, { recursive: true });
    expect(codeOf(() => loadNativeAddons(place))).toBe("addon_missing");
  });
});

function codeOf(run: () => unknown): unknown {
  try {
    run();
    return "loaded";
  } catch (error) {
    return error instanceof HelperFailure ? error.code : error;
  }
}
