/** @module The Transit API (openbao.org/api-docs/secret/transit): read the key and the mount, encrypt, decrypt. */
import * as v from "valibot";
import type { Operation } from "../../base/operation.ts";
import type { AuthenticatedClient } from "../auth/authenticated-client.ts";
import type { OpenBaoReply } from "../client/attempt.ts";
import type { OpenBaoCode } from "../client/errors.ts";
import { asTransitError, malformedReply } from "./errors.ts";
import { type KeyCall, keyCall } from "./key-call.ts";
import { decodeKeyMetadata } from "./key-metadata.ts";
import type { KeyNames } from "./key-profile.ts";
import { type DecryptInput, decryption, type EncryptInput, encryption } from "./wire-format.ts";

export type TransitClient = ReturnType<typeof createTransitClient>;

/** Encrypt and decrypt with what is known of the answer, one at a time or many in one request. */
export interface KeyCalls {
  readonly encrypt: KeyCall<EncryptInput, string>;
  readonly decrypt: KeyCall<DecryptInput, Uint8Array>;
}

/** What a standby that lags behind may answer about a key that is well. */
const READ_LAG: ReadonlySet<OpenBaoCode> = new Set(["not_found", "mount_missing"]);

const mountData = v.object({ disable_upsert: v.boolean() });

/** Every method throws TransitError, or what the authenticated call throws about its token. */
export function createTransitClient(openbao: AuthenticatedClient, names: KeyNames) {
  const { mountPath, keyName } = names;
  const ask: AuthenticatedClient["call"] = async (call) => {
    try {
      return await openbao.call(call);
    } catch (error) {
      throw asTransitError(error, call.path, call.method === "GET" ? "read" : "update");
    }
  };
  const read = async <T>(
    operation: Operation,
    path: string,
    signal: AbortSignal,
    decode: (reply: OpenBaoReply) => T | undefined,
  ): Promise<T> => {
    const value = decode(
      await ask({ operation, method: "GET", idempotent: true, path, signal, lagCodes: READ_LAG }),
    );
    if (value === undefined) {
      throw malformedReply(operation, path);
    }
    return value;
  };
  const calls: KeyCalls = {
    encrypt: keyCall(encryption(names), names, ask),
    decrypt: keyCall(decryption, names, ask),
  };

  return {
    readKey: (signal: AbortSignal) =>
      read("transit_metadata_read", `${mountPath}/keys/${keyName}`, signal, ({ data, date }) =>
        decodeKeyMetadata(data, date),
      ),
    /** The mount's `disable_upsert`. */
    readDisableUpsert: (signal: AbortSignal) =>
      read("transit_disable_upsert_read", `${mountPath}/config/keys`, signal, ({ data }) =>
        v.is(mountData, data) ? data.disable_upsert : undefined,
      ),
    /** The canonical ciphertext under exactly that version. */
    encrypt: async (input: EncryptInput, signal: AbortSignal) =>
      (await calls.encrypt.single(input, signal)).value,
    decrypt: async (input: DecryptInput, signal: AbortSignal) =>
      (await calls.decrypt.single(input, signal)).value,
    /** As many outcomes as inputs; those with a `batchIndex` are of one answer and so of one key. */
    decryptTogether: calls.decrypt.batch,
    calls,
  };
}
