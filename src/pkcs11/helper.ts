/** @module The body of the helper process: one task, then it ends. */

import { X509Certificate } from "node:crypto";
import { realpathSync, type Stats, statSync, writeSync } from "node:fs";
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
import {
  INSTALLED_ADDONS,
  loadNativeAddons,
  type NativeAddonPlace,
  type NativeAddons,
} from "./native-addons.ts";

/** Reads the request, does its task, says how it ended. Never throws; the exit code is for people, not for the provider. */
export async function runHelper(place: NativeAddonPlace = INSTALLED_ADDONS): Promise<number> {
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
    const { pin, refuseAfterFailedTry, chain } = task;
    const [leaf] = chain;
    if (leaf === undefined) {
      throw new HelperFailure("request_invalid");
    }
    const { publicKey } = new X509Certificate(leaf);
    const key = token.openKey({ pin, refuseAfterFailedTry, publicKey });
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
