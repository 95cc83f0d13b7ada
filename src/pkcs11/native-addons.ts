/** @module Loads tls.node and pkcs11.node from the one directory where they may be. */
import { lstatSync, type Stats } from "node:fs";
import { join } from "node:path";
import { HelperFailure } from "./errors.ts";
import type { Pkcs11Library } from "./pkcs11-library.ts";
import type { TlsLibrary } from "./tls-client.ts";

export interface NativeAddons {
  readonly tls: TlsLibrary;
  readonly pkcs11: Pkcs11Library;
}

export interface NativeAddonPlace {
  readonly directory: string;
  /** Users whose files are trusted besides root's. Empty in production. */
  readonly extraOwners: readonly number[];
}

declare const NATIVE_ADDON_DIRECTORY: string | undefined;
declare const NATIVE_ADDON_OWNER: number | undefined;

/**
 * Where the packages put the addons. Only a build for tests names another place, at build time: neither the configuration
 * nor the environment can.
 */
export const INSTALLED_ADDONS: NativeAddonPlace = {
  directory: typeof NATIVE_ADDON_DIRECTORY === "string" ? NATIVE_ADDON_DIRECTORY : "/usr/lib/openbao-kms",
  extraOwners: typeof NATIVE_ADDON_OWNER === "number" ? [NATIVE_ADDON_OWNER] : [],
};

const ADDON_FILES = ["tls.node", "pkcs11.node"] as const;

/** What is wrong with the installation of the addons; `undefined` when they may be loaded. Loads nothing. */
export function addonProblem(
  place: NativeAddonPlace,
): { readonly code: "addon_missing" | "addon_unsafe"; readonly path: string } | undefined {
  const paths = [place.directory, ...ADDON_FILES.map((file) => join(place.directory, file))];
  for (const path of paths) {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) {
      return { code: "addon_missing", path };
    }
    const kind = path === place.directory ? stats.isDirectory() : stats.isFile();
    if (!kind || !isTrusted(stats, place.extraOwners)) {
      return { code: "addon_unsafe", path };
    }
  }
  return undefined;
}

function isTrusted(stats: Stats, extraOwners: readonly number[]): boolean {
  return (stats.uid === 0 || extraOwners.includes(stats.uid)) && (stats.mode & 0o022) === 0;
}

/** @throws HelperFailure `addon_missing`, `addon_unsafe`, or `addon_broken` when one does not load. */
export function loadNativeAddons(place: NativeAddonPlace): NativeAddons {
  const problem = addonProblem(place);
  if (problem !== undefined) {
    throw new HelperFailure(problem.code);
  }
  const tls = load(join(place.directory, "tls.node"));
  const pkcs11 = load(join(place.directory, "pkcs11.node"));
  if (!isTls(tls) || !isPkcs11(pkcs11)) {
    throw new HelperFailure("addon_broken");
  }
  return { tls, pkcs11 };
}

function load(path: string): object {
  const module: { exports: object } = { exports: {} };
  try {
    process.dlopen(module, path);
  } catch (error) {
    throw new HelperFailure("addon_broken", undefined, error);
  }
  return module.exports;
}

// The files are ours by ownership: that the right one is in each place is all there is to check.
function isTls(exports: object): exports is TlsLibrary {
  return "TlsClient" in exports;
}

function isPkcs11(exports: object): exports is Pkcs11Library {
  return "PKCS11" in exports;
}
