/**
 * @module The Transit API: read the key and the mount, encrypt, decrypt.
 * @see https://openbao.org/api-docs/secret/transit/
 */
import * as v from "valibot";
import type { OpenBaoCall, OpenBaoReply } from "../client/attempt.ts";
import type { OpenBaoCode } from "../client/errors.ts";
import { asTransitError, malformedReply } from "./errors.ts";
import { type KeyCall, keyCall } from "./key-call.ts";
import { decodeKeyMetadata, type KeyMetadata } from "./key-metadata.ts";
import type { KeyNames } from "./key-profile.ts";
import { type DecryptInput, decryption, type EncryptInput, encryption } from "./wire-format.ts";

/** Every method throws TransitError, or what the authenticated call throws about its token. */
export interface TransitClient {
  readonly readKey: (signal: AbortSignal) => Promise<KeyMetadata>;
  /** The mount's `disable_upsert`. */
  readonly readDisableUpsert: (signal: AbortSignal) => Promise<boolean>;
  /** The canonical ciphertext under exactly that version. */
  readonly encrypt: (input: EncryptInput, signal: AbortSignal) => Promise<string>;
  readonly decrypt: (input: DecryptInput, signal: AbortSignal) => Promise<Uint8Array>;
  /** As many outcomes as inputs; those with a `batchIndex` are of one answer and so of one key. */
  readonly decryptTogether: KeyCall<DecryptInput, Uint8Array>["batch"];
  /** The same two with what is known of the answer, one at a time or many in one request. */
  readonly calls: KeyCalls;
}

export interface KeyCalls {
  readonly encrypt: KeyCall<EncryptInput, string>;
  readonly decrypt: KeyCall<DecryptInput, Uint8Array>;
}

/** The authenticated call, as far as it is needed here. */
interface AuthenticatedCall {
  readonly call: (call: Omit<OpenBaoCall, "token">) => Promise<OpenBaoReply>;
}

/** What a standby that lags behind may answer about a key that is well. */
const READ_LAG: ReadonlySet<OpenBaoCode> = new Set(["not_found", "mount_missing"]);

const mountData = v.object({ disable_upsert: v.boolean() });
export function createTransitClient(openbao: AuthenticatedCall, names: KeyNames): TransitClient {
  const { mountPath, keyName } = names;
  const ask = async (call: Omit<OpenBaoCall, "token">): Promise<OpenBaoReply> => {
    try {
      return await openbao.call(call);
    } catch (error) {
      throw asTransitError(error, call.path, call.method === "GET" ? "read" : "update");
    }
  };
  const keyPath = `${mountPath}/keys/${keyName}`;
  const mountConfigPath = `${mountPath}/config/keys`;

  const options = { ask, mountPath, keyName };
  const calls: KeyCalls = {
    encrypt: keyCall(encryption(names), options),
    decrypt: keyCall(decryption, options),
  };

  return {
    readKey: async (signal) => {
      const operation = "transit_metadata_read";
      const { data, date } = await ask({
        operation,
        method: "GET",
        idempotent: true,
        path: keyPath,
        signal,
        lagCodes: READ_LAG,
      });
      const metadata = decodeKeyMetadata(data, date);
      if (metadata === undefined) {
        throw malformedReply(operation, keyPath);
      }
      return metadata;
    },

    readDisableUpsert: async (signal) => {
      const operation = "transit_disable_upsert_read";
      const { data } = await ask({
        operation,
        method: "GET",
        idempotent: true,
        path: mountConfigPath,
        signal,
        lagCodes: READ_LAG,
      });
      const parsed = v.safeParse(mountData, data);
      if (!parsed.success) {
        throw malformedReply(operation, mountConfigPath);
      }
      return parsed.output.disable_upsert;
    },

    encrypt: async (input, signal) => (await calls.encrypt.single(input, signal)).value,
    decrypt: async (input, signal) => (await calls.decrypt.single(input, signal)).value,
    decryptTogether: calls.decrypt.batch,
    calls,
  };
}
