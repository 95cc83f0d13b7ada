/** @module A file that a flag names, for the user of this process. */
import { readSafeFile, type SafeFileRules } from "../base/safe-file.ts";
import type { EncryptionConfig } from "../kubernetes/encryption-config/config.ts";
import { decodeEncryptionConfig } from "../kubernetes/encryption-config/decode.ts";
import { MAX_ENCRYPTION_CONFIG_BYTES } from "../kubernetes/encryption-config/file-tree.ts";

/** @throws SafeFileError */
export async function readInputFile(
  path: string,
  rules: Pick<SafeFileRules, "what" | "field" | "maxBytes" | "secret">,
): Promise<Uint8Array> {
  const serviceUid = process.geteuid?.() ?? 0;
  return (await readSafeFile(path, { ...rules, serviceUid, errorClass: "config_invalid" })).bytes;
}

/** kube-apiserver's files are root's, and have keys in them. @throws SafeFileError, EncryptionConfigError */
export async function readEncryptionConfig(path: string, field: string): Promise<EncryptionConfig> {
  const maxBytes = MAX_ENCRYPTION_CONFIG_BYTES;
  const rules = { what: "the EncryptionConfiguration", field, maxBytes, secret: true };
  return decodeEncryptionConfig(await readInputFile(path, rules), path);
}
