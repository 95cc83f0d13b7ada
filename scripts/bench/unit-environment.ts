/** @module The environment of the systemd unit, read from the unit, so that what is measured is what is installed. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const UNIT = join(import.meta.dir, "..", "..", "deploy", "systemd", "bao-kms-provider.service");

/** The variables that the unit sets. With `jit` off also the one that acts as its `MemoryDenyWriteExecute=` does. */
export function unitEnvironment(jit: "on" | "off"): Readonly<Record<string, string>> {
  const set = readFileSync(UNIT, "utf8").matchAll(/^Environment=([^=\s]+)=(\S+)$/gm);
  return {
    ...Object.fromEntries([...set].map(([, name = "", value = ""]) => [name, value])),
    ...(jit === "on" ? {} : { BUN_JSC_useJIT: "0" }),
  };
}
