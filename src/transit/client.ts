/**
 * The Transit API in our words: read the key and the mount, encrypt, decrypt.
 *
 * @module What lives here: requests, the decoding of replies, and the limits that hold before OpenBao is asked. What does not:
 * tokens (auth/), retries (openbao/), which version is active (rotation/).
 * @see https://openbao.org/api-docs/secret/transit/
 */
import * as v from "valibot";
import type { OpenBaoCall, OpenBaoReply } from "../openbao/attempt.ts";
import { answerError, type OpenBaoCode } from "../openbao/errors.ts";
import { ciphertextBytes, ciphertextVersion, decodeBase64, MAX_CIPHERTEXT_BYTES } from "./ciphertext.ts";
import { asTransitError, TransitError } from "./errors.ts";
import { decodeKeyMetadata, type KeyMetadata } from "./key-metadata.ts";
import type { KeyNames } from "./key-profile.ts";

export interface EncryptInput {
  readonly plaintext: Uint8Array;
  /** Standard base64, as identity/associated-data.ts makes it. */
  readonly associatedData: string;
  readonly keyVersion: number;
}

export interface DecryptInput {
  readonly ciphertext: string;
  readonly associatedData: string;
}

/** Every method throws TransitError, or what the authenticated call throws about its token. */
export interface TransitClient {
  readonly readKey: (signal: AbortSignal) => Promise<KeyMetadata>;
  /** The mount's `disable_upsert`. */
  readonly readDisableUpsert: (signal: AbortSignal) => Promise<boolean>;
  /** The canonical ciphertext under exactly that version. */
  readonly encrypt: (input: EncryptInput, signal: AbortSignal) => Promise<string>;
  readonly decrypt: (input: DecryptInput, signal: AbortSignal) => Promise<Uint8Array>;
}

/** The authenticated call, as far as it is needed here. */
export interface AuthenticatedCall {
  readonly call: (call: Omit<OpenBaoCall, "token">) => Promise<OpenBaoReply>;
}

/** What a standby that lags behind may answer about a key that is well. */
const READ_LAG: ReadonlySet<OpenBaoCode> = new Set(["not_found", "mount_missing"]);
const USE_LAG: ReadonlySet<OpenBaoCode> = new Set([
  "version_too_new",
  "version_missing",
  "key_missing",
  "mount_missing",
]);

const encryptData = v.object({ ciphertext: v.string(), key_version: v.optional(v.number()) });
const decryptData = v.object({ plaintext: v.string() });
const mountData = v.object({ disable_upsert: v.boolean() });

export function createTransitClient(openbao: AuthenticatedCall, names: KeyNames): TransitClient {
  const { mountPath, keyName } = names;
  const ask = async (
    call: Pick<OpenBaoCall, "operation" | "method" | "path" | "body" | "signal" | "lagCodes">,
  ): Promise<unknown> => {
    try {
      return (await openbao.call({ ...call, idempotent: true })).data;
    } catch (error) {
      throw asTransitError(error, call.path, call.method === "GET" ? "read" : "update");
    }
  };
  const malformed = (operation: OpenBaoCall["operation"], path: string): unknown =>
    asTransitError(answerError("reply_malformed", { operation, path }), path, "read");

  const keyPath = `${mountPath}/keys/${keyName}`;
  const mountConfigPath = `${mountPath}/config/keys`;
  const encryptPath = `${mountPath}/encrypt/${keyName}`;
  const decryptPath = `${mountPath}/decrypt/${keyName}`;

  return {
    readKey: async (signal) => {
      const operation = "transit_metadata_read";
      const data = await ask({ operation, method: "GET", path: keyPath, signal, lagCodes: READ_LAG });
      const metadata = decodeKeyMetadata(data);
      if (metadata === undefined) {
        throw malformed(operation, keyPath);
      }
      return metadata;
    },

    readDisableUpsert: async (signal) => {
      const operation = "transit_disable_upsert_read";
      const data = await ask({ operation, method: "GET", path: mountConfigPath, signal, lagCodes: READ_LAG });
      const parsed = v.safeParse(mountData, data);
      if (!parsed.success) {
        throw malformed(operation, mountConfigPath);
      }
      return parsed.output.disable_upsert;
    },

    encrypt: async ({ plaintext, associatedData, keyVersion }, signal) => {
      if (ciphertextBytes(plaintext.length, keyVersion) > MAX_CIPHERTEXT_BYTES) {
        throw plaintextTooLarge();
      }
      const operation = "transit_encrypt";
      const data = await ask({
        operation,
        method: "POST",
        path: encryptPath,
        body: JSON.stringify({
          plaintext: base64Of(plaintext),
          associated_data: associatedData,
          key_version: keyVersion,
        }),
        signal,
        lagCodes: USE_LAG,
      });
      const parsed = v.safeParse(encryptData, data);
      const version = parsed.success ? ciphertextVersion(parsed.output.ciphertext) : undefined;
      if (!parsed.success || version === undefined) {
        throw malformed(operation, encryptPath);
      }
      const { ciphertext, key_version: saidVersion = version } = parsed.output;
      if (version !== keyVersion || saidVersion !== keyVersion) {
        throw wrongVersion(names);
      }
      return ciphertext;
    },

    decrypt: async ({ ciphertext, associatedData }, signal) => {
      if (ciphertextVersion(ciphertext) === undefined) {
        throw ciphertextMalformed();
      }
      const operation = "transit_decrypt";
      const data = await ask({
        operation,
        method: "POST",
        path: decryptPath,
        body: JSON.stringify({ ciphertext, associated_data: associatedData }),
        signal,
        lagCodes: USE_LAG,
      });
      const parsed = v.safeParse(decryptData, data);
      const plaintext =
        parsed.success && parsed.output.plaintext.length <= MAX_CIPHERTEXT_BYTES
          ? decodeBase64(parsed.output.plaintext)
          : undefined;
      if (plaintext === undefined) {
        throw malformed(operation, decryptPath);
      }
      return plaintext;
    },
  };
}

/** A view, so that no second copy of the plaintext is made on the way to base64. */
function base64Of({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}

function plaintextTooLarge(): TransitError {
  return new TransitError({
    code: "plaintext_too_large",
    errorClass: "protocol_limit",
    message: `the plaintext is so long that its ciphertext would exceed ${MAX_CIPHERTEXT_BYTES} bytes`,
  });
}

function ciphertextMalformed(): TransitError {
  return new TransitError({
    code: "ciphertext_malformed",
    errorClass: "protocol_limit",
    message: `the ciphertext is not vault:v<version>:<base64> in its one canonical form of at most ${MAX_CIPHERTEXT_BYTES} bytes`,
  });
}

function wrongVersion({ mountPath, keyName }: KeyNames): TransitError {
  return new TransitError({
    code: "wrong_version",
    errorClass: "openbao_unavailable",
    message: `OpenBao encrypted under another version of ${mountPath}/keys/${keyName} than it was told to`,
    advice: "check that openbao.address leads to OpenBao itself and not to a proxy that rewrites requests",
  });
}
