/** @module The process that changes the registry with the rights of the state directory's owner. It is never root. */
import { systemClock } from "../base/clock.ts";
import { RegistryError } from "../key/registry/errors.ts";
import { applyChange } from "./apply-registry-change.ts";
import { decodeChange, encodeOutcome, MAX_CHANGE_BYTES } from "./registry-change.ts";

/** The exit code; the outcome says more. */
export async function runRegistryWriter(): Promise<number> {
  const euid = process.geteuid?.() ?? 0;
  const change = euid === 0 ? undefined : decodeChange(await readInput());
  if (change === undefined) {
    return 2;
  }
  try {
    const hash = await applyChange(change, { euid, clock: systemClock }, new AbortController().signal);
    await Bun.write(Bun.stdout, encodeOutcome({ hash }));
    return 0;
  } catch (error) {
    if (!(error instanceof RegistryError)) {
      return 1;
    }
    await Bun.write(Bun.stdout, encodeOutcome(error));
    return 1;
  }
}

/** All of it, or one byte too many. */
async function readInput(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of Bun.stdin.stream()) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_CHANGE_BYTES) {
      break;
    }
  }
  return Buffer.concat(chunks);
}
