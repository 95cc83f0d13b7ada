/** @module A secret that is one line of text in a file: JWT, secret id, client secret. */
import { readSafeFile, type SafeFileRules } from "../../base/safe-file.ts";
import { Secret } from "../../base/secret.ts";
import { AuthError } from "./errors.ts";

type SecretFileRules = Omit<SafeFileRules, "secret" | "errorClass"> & Partial<SafeFileRules>;

const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/** The text of the file, visible ASCII only. @throws SafeFileError, or AuthError `secret_malformed`. */
export async function readSecretFile(
  path: string,
  { errorClass = "auth_failed", ...rules }: SecretFileRules,
): Promise<Secret> {
  const { field, what, maxBytes } = rules;
  // A line break at the end is no part of the secret.
  const { bytes } = await readSafeFile(path, { ...rules, errorClass, secret: true, maxBytes: maxBytes + 2 });
  const text = new TextDecoder("latin1").decode(bytes).trim();
  bytes.fill(0);
  if (!VISIBLE_ASCII.test(text)) {
    throw new AuthError({
      code: "secret_malformed",
      errorClass,
      message: `${field}: ${what} in ${path} contains blanks, line breaks or other invalid characters`,
      advice: `write only ${what} to ${path}`,
    });
  }
  return new Secret(text);
}
