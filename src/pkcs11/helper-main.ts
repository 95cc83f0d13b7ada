/** @module The body of the helper process: it loads the native addons, does one task and ends. */

import { X509Certificate } from "node:crypto";
import { lstatSync, realpathSync, type Stats, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { readBounded } from "../base/read-bounded.ts";
import { HelperFailure } from "./errors.ts";
import { findToken } from "./find-token.ts";
import {
  decodeRequest,
  encodeLine,
  type HelperLine,
  type HelperRequest,
  MAX_REQUEST_BYTES,
  type TokenNames,
} from "./helper-protocol.ts";
import { httpsExchange } from "./https-exchange.ts";
import type { Pkcs11Library } from "./pkcs11-library.ts";
import type { TlsLibrary } from "./tls-client.ts";

/** Reads the request, does its task, says how it ended. Never throws; the exit code is for people, not for the provider. */
export async function helperMain(place: NativeAddonPlace = INSTALLED_ADDONS): Promise<number> {
  const input = await readBounded(Bun.stdin.stream(), MAX_REQUEST_BYTES);
  return await answerRequest(input ?? Buffer.of(), () => loadNativeAddons(place), writeAll);
}

export async function answerRequest(
  input: Uint8Array,
  loadAddons: () => NativeAddons,
  write: (text: string) => void,
): Promise<number> {
  const request = decodeRequest(Buffer.from(input).toString("utf8"));
  if (request === undefined) {
    // Without a marker no process reads an answer; this happens only when a person types the hidden command.
    return 2;
  }
  const say = (line: HelperLine): void => write(encodeLine(request.marker, line));
  try {
    say(await doTask(request, loadAddons(), say));
    return 0;
  } catch (error) {
    const { code, detail } = HelperFailure.from(error, "unexpected");
    say({ kind: "failure", code, detail });
    return 1;
  }
}

async function doTask(
  request: HelperRequest,
  addons: NativeAddons,
  say: (line: HelperLine) => void,
): Promise<HelperLine> {
  if (addons.tls.guardProcess(request.alarmSeconds) !== request.parentPid) {
    // The parent died between spawn and prctl(2): no process waits for an answer.
    throw new HelperFailure("unexpected");
  }
  checkModule(request.token);
  const token = findToken(addons.pkcs11, request.token, (stage) => say({ kind: "stage", stage }));
  try {
    const { task } = request;
    if (task.kind === "inspect") {
      return { kind: "done" };
    }
    const { chain } = task;
    const [leaf] = chain;
    if (leaf === undefined) {
      throw new HelperFailure("request_invalid");
    }
    const key = token.openKey(task, new X509Certificate(leaf).publicKey);
    if (task.kind === "prove") {
      return { kind: "done" };
    }
    say({ kind: "stage", stage: "connect" });
    return await httpsExchange(addons.tls, task.exchange, {
      chain,
      schemes: key.schemes.map((scheme) => scheme.id),
      sign: (id, message) => {
        const scheme = key.schemes.find((each) => each.id === id);
        if (scheme === undefined) {
          throw new HelperFailure("no_shared_scheme");
        }
        return key.sign(scheme, message);
      },
    });
  } finally {
    token.close();
  }
}

/** The module's code is about to see the PIN: only root or this user may be able to write it. */
function checkModule({ modulePath }: TokenNames): void {
  let stats: Stats;
  try {
    stats = statSync(realpathSync(modulePath));
  } catch (error) {
    throw new HelperFailure("module_missing", undefined, error);
  }
  const isOurs = stats.uid === 0 || stats.uid === process.geteuid?.();
  if (!stats.isFile() || !isOurs || (stats.mode & 0o022) !== 0) {
    throw new HelperFailure("module_unsafe");
  }
}

/** Synchronous, so that a stage is out before the call that may never return. */
function writeAll(text: string): void {
  const bytes = Buffer.from(text);
  let written = 0;
  while (written < bytes.length) {
    written += writeSync(1, bytes, written);
  }
}

interface NativeAddons {
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
