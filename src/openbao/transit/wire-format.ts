/** @module How an Encrypt or Decrypt looks on the wire, and the limits that apply before OpenBao is asked. */
import * as v from "valibot";
import type { Operation } from "../../base/operation.ts";
import { isJsonObject } from "../../base/parse-json.ts";
import { ciphertextBytes, ciphertextVersion, decodeBase64, MAX_CIPHERTEXT_BYTES } from "./ciphertext.ts";
import { TransitError } from "./errors.ts";
import type { KeyNames } from "./key-profile.ts";

export interface EncryptInput {
  readonly plaintext: Uint8Array;
  /** Standard base64, as key/identity/associated-data.ts makes it. */
  readonly associatedData: string;
  readonly keyVersion: number;
}

export interface DecryptInput {
  readonly ciphertext: string;
  readonly associatedData: string;
}

/** One of the two things that are done with a key. */
export interface WireFormat<Input, Output> {
  readonly operation: Operation;
  /** The verb in the path. */
  readonly verb: "encrypt" | "decrypt";
  /** @throws TransitError when the input is refused before OpenBao is asked. */
  readonly encode: (input: Input) => Readonly<Record<string, unknown>>;
  /** The result in what OpenBao answered; `undefined` for none. @throws TransitError when it is not what was asked for. */
  readonly decode: (data: unknown, input: Input) => Output | undefined;
}

const encryptData = v.object({ ciphertext: v.string(), key_version: v.optional(v.number()) });

/** Encrypt, whose result is the canonical ciphertext under exactly the version that was asked for. */
export function encryption(names: KeyNames): WireFormat<EncryptInput, string> {
  return {
    operation: "transit_encrypt",
    verb: "encrypt",
    encode: ({ plaintext, associatedData, keyVersion }) => {
      if (ciphertextBytes(plaintext.length, keyVersion) > MAX_CIPHERTEXT_BYTES) {
        throw new TransitError({
          code: "plaintext_too_large",
          errorClass: "protocol_limit",
          message: `the plaintext is so long that its ciphertext would exceed ${MAX_CIPHERTEXT_BYTES} bytes`,
        });
      }
      return {
        plaintext: base64Of(plaintext),
        associated_data: associatedData,
        key_version: keyVersion,
      };
    },
    decode: (data, { keyVersion }) => {
      const parsed = v.safeParse(encryptData, data);
      const version = parsed.success ? ciphertextVersion(parsed.output.ciphertext) : undefined;
      if (!parsed.success || version === undefined) {
        return undefined;
      }
      const { ciphertext, key_version: saidVersion = version } = parsed.output;
      if (version !== keyVersion || saidVersion !== keyVersion) {
        throw new TransitError({
          code: "wrong_version",
          errorClass: "openbao_unavailable",
          message: `OpenBao encrypted under another version of ${names.mountPath}/keys/${names.keyName} than requested`,
          advice:
            "check that openbao.address leads to OpenBao itself and not to a proxy that rewrites requests",
        });
      }
      return ciphertext;
    },
  };
}

export const decryption: WireFormat<DecryptInput, Uint8Array> = {
  operation: "transit_decrypt",
  verb: "decrypt",
  encode: ({ ciphertext, associatedData }) => {
    if (ciphertextVersion(ciphertext) === undefined) {
      throw new TransitError({
        code: "ciphertext_malformed",
        errorClass: "protocol_limit",
        message: `the ciphertext is not vault:v<version>:<base64> in its one canonical form of at most ${MAX_CIPHERTEXT_BYTES} bytes`,
      });
    }
    return { ciphertext, associated_data: associatedData };
  },
  decode: (data) => {
    const plaintext = isJsonObject(data) ? data["plaintext"] : undefined;
    return typeof plaintext === "string" && plaintext.length <= MAX_CIPHERTEXT_BYTES
      ? decodeBase64(plaintext)
      : undefined;
  },
};

/** A view, so that no second copy of the plaintext is made for base64. */
function base64Of({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}
