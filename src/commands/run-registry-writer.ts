/** @module The process that changes the registry with the rights of the state directory's owner. It is never root. */
import { systemClock } from "../base/clock.ts";
import { readBounded } from "../base/read-bounded.ts";
import { RegistryError } from "../key/registry/errors.ts";
import { applyChange } from "./apply-registry-change.ts";
import { decodeChange, encodeOutcome, MAX_CHANGE_BYTES } from "./registry-change.ts";

/** The exit code; the outcome says more. */
export async function runRegistryWriter(): Promise<number> {
  const euid = process.geteuid?.() ?? 0;
  const input = euid === 0 ? undefined : await readBounded(Bun.stdin.stream(), MAX_CHANGE_BYTES);
  const change = input === undefined ? undefined : decodeChange(input);
  if (change === undefined) {
    return 2;
  }
  try {
    const hash = await applyChange(change, { euid, clock: systemClock }, new AbortController().signal);
    await Bun.write(Bun.stdout, encodeOutcome({ hash }));
    return 0;
  } catch (error) {
    if (error instanceof RegistryError) {
      await Bun.write(Bun.stdout, encodeOutcome(error));
    }
    return 1;
  }
}
