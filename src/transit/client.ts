/**
 * The Transit API in our words: read the key and the mount, encrypt, decrypt.
 *
 * @module What lives here: requests, the decoding of replies, and the limits that hold before OpenBao is asked. What does not:
 * tokens (auth/), retries (openbao/), which version is active (rotation/).
 * @see https://openbao.org/api-docs/secret/transit/
 */
import * as v from "valibot";
import type { OpenBaoCall, OpenBaoReply } from "../openbao/attempt.ts";
import { answerCodeOf, answerError, type OpenBaoCode } from "../openbao/errors.ts";
import type { Outcome } from "./coalesce.ts";
import { asTransitError } from "./errors.ts";
import { decodeKeyMetadata, type KeyMetadata } from "./key-metadata.ts";
import type { KeyNames } from "./key-profile.ts";
import { type DecryptInput, decryption, type EncryptInput, encryption, type KeyUse } from "./key-use.ts";

/** Every method throws TransitError, or what the authenticated call throws about its token. */
export interface TransitClient {
  readonly readKey: (signal: AbortSignal) => Promise<KeyMetadata>;
  /** The mount's `disable_upsert`. */
  readonly readDisableUpsert: (signal: AbortSignal) => Promise<boolean>;
  /** The canonical ciphertext under exactly that version. */
  readonly encrypt: (input: EncryptInput, signal: AbortSignal) => Promise<string>;
  readonly decrypt: (input: DecryptInput, signal: AbortSignal) => Promise<Uint8Array>;
  /** As many outcomes as inputs, each what the single call would have given. Throws when the request as a whole failed. */
  readonly encryptTogether: Together<EncryptInput, string>;
  readonly decryptTogether: Together<DecryptInput, Uint8Array>;
}

export type Together<Input, Output> = (
  inputs: readonly Input[],
  signal: AbortSignal,
) => Promise<readonly Outcome<Output>[]>;

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

const mountData = v.object({ disable_upsert: v.boolean() });
/** An item of a batch has its own error, while its neighbours have their results. */
const batchData = v.object({ batch_results: v.array(v.looseObject({ error: v.optional(v.string()) })) });
const isBatchReply = (data: unknown): boolean => v.is(batchData, data);

export function createTransitClient(openbao: AuthenticatedCall, names: KeyNames): TransitClient {
  const { mountPath, keyName } = names;
  const ask = async (
    call: Pick<OpenBaoCall, "operation" | "method" | "path" | "body" | "signal" | "lagCodes" | "isReply">,
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

  const useOnce = async <Input, Output>(
    use: KeyUse<Input, Output>,
    input: Input,
    signal: AbortSignal,
  ): Promise<Output> => {
    const path = `${mountPath}/${use.verb}/${keyName}`;
    const body = JSON.stringify(use.encode(input));
    const data = await ask({
      operation: use.operation,
      method: "POST",
      path,
      body,
      signal,
      lagCodes: USE_LAG,
    });
    const output = use.decode(data, input);
    if (output === undefined) {
      throw malformed(use.operation, path);
    }
    return output;
  };

  const useTogether = async <Input, Output>(
    use: KeyUse<Input, Output>,
    inputs: readonly Input[],
    signal: AbortSignal,
  ): Promise<readonly Outcome<Output>[]> => {
    const { operation } = use;
    const path = `${mountPath}/${use.verb}/${keyName}`;
    const body = JSON.stringify({ batch_input: inputs.map(use.encode) });
    const data = await ask({ operation, method: "POST", path, body, signal, isReply: isBatchReply });
    const results = v.safeParse(batchData, data);
    if (!results.success || results.output.batch_results.length !== inputs.length) {
      throw malformed(operation, path);
    }
    const outcomeOf = async (
      result: { readonly error?: string | undefined },
      input: Input,
    ): Promise<Output> => {
      const text = result.error ?? "";
      const output = text === "" ? use.decode(result, input) : undefined;
      if (output !== undefined) {
        return output;
      }
      const code = text === "" ? "reply_malformed" : answerCodeOf(400, [text]);
      if (text !== "" && code !== "decrypt_failed") {
        // It may be a standby that lags, or say more when asked alone.
        return useOnce(use, input, signal);
      }
      throw asTransitError(answerError(code, { operation, path }), path, "update");
    };
    const settled = await Promise.allSettled(
      inputs.map((input, index) => outcomeOf(results.output.batch_results[index] ?? {}, input)),
    );
    return settled.map((each) =>
      each.status === "fulfilled" ? { ok: true, value: each.value } : { ok: false, error: each.reason },
    );
  };
  const encrypting = encryption(names);

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

    encrypt: (input, signal) => useOnce(encrypting, input, signal),
    decrypt: (input, signal) => useOnce(decryption, input, signal),
    encryptTogether: (inputs, signal) => useTogether(encrypting, inputs, signal),
    decryptTogether: (inputs, signal) => useTogether(decryption, inputs, signal),
  };
}
