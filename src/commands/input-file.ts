/** @module A file that a flag names, for the user of this process. */
import { readSafeFile, type SafeFileRules } from "../base/safe-file.ts";

/** @throws SafeFileError */
export async function readInputFile(
  path: string,
  rules: Pick<SafeFileRules, "what" | "field" | "maxBytes" | "secret">,
): Promise<Uint8Array> {
  const serviceUid = process.geteuid?.() ?? 0;
  return (await readSafeFile(path, { ...rules, serviceUid, errorClass: "config_invalid" })).bytes;
}
