/** @module A secret that is one line of text in a file: JWT, secret id, client secret. */
import type { ErrorClass } from "../../base/error-class.ts";
import { readSafeFile } from "../../base/safe-file.ts";
import { Secret } from "../../base/secret.ts";
import { AuthError } from "./errors.ts";

interface SecretFile {
  readonly path: string;
  /** The configuration field that names it. */
  readonly field: string;
  /** What it is, for messages: "the secret id". */
  readonly what: string;
  readonly maxBytes: number;
  readonly serviceUid: number;
  readonly errorClass?: ErrorClass;
}

const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/**
 * The text of the file, visible ASCII only.
 * @throws SafeFileError, or AuthError `secret_malformed`, with the field, the path and the fix.
 */
export async function readSecretFile({
  path,
  field,
  what,
  maxBytes,
  serviceUid,
  errorClass = "auth_failed",
}: SecretFile): Promise<Secret> {
  const { bytes } = await readSafeFile(path, {
    what,
    field,
    // A line break at the end is no part of the secret.
    maxBytes: maxBytes + 2,
    secret: true,
    serviceUid,
    errorClass,
  });
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
