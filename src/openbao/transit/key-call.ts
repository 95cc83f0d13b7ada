/** @module Encrypt and decrypt as calls: one at a time, or many in one request (`batch_input` of the Transit API). */
import * as v from "valibot";
import { isJsonObject } from "../../base/parse-json.ts";
import type { AuthenticatedClient } from "../auth/authenticated-client.ts";
import { answerCodeOf } from "../client/answer.ts";
import type { OpenBaoCall } from "../client/attempt.ts";
import { answerError, type OpenBaoCode } from "../client/errors.ts";
import type { Outcome } from "./coalesce.ts";
import { asTransitError, malformedReply } from "./errors.ts";
import type { KeyNames } from "./key-profile.ts";
import type { WireFormat } from "./wire-format.ts";

/** A result, and where OpenBao's audit log has it. */
export interface Answered<Output> {
  readonly value: Output;
  readonly requestId: string | undefined;
  /** Its place among the items of the request; absent when it was alone. */
  readonly batchIndex?: number;
}

export interface KeyCall<Input, Output> {
  /** @throws TransitError, or what the authenticated call throws about its token. */
  readonly single: (input: Input, signal: AbortSignal) => Promise<Answered<Output>>;
  /** As many outcomes as inputs, each what the single call would have given. Throws when the request as a whole failed. */
  readonly batch: (
    inputs: readonly Input[],
    signal: AbortSignal,
  ) => Promise<readonly Outcome<Answered<Output>>[]>;
}

/** What a standby that lags behind may answer about a key that is well. */
const USE_LAG: ReadonlySet<OpenBaoCode> = new Set([
  "version_too_new",
  "version_missing",
  "key_missing",
  "mount_missing",
]);

/** What an item is when it is a result is the use's business, and decoded there. */
const batchData = v.object({ batch_results: v.array(v.unknown()) });
/** One bad item makes the whole reply 400, while it still holds each item's own result or error. */
const isBatchReply = (data: unknown): boolean => v.is(batchData, data);

export function keyCall<Input, Output>(
  format: WireFormat<Input, Output>,
  { mountPath, keyName }: KeyNames,
  ask: AuthenticatedClient["call"],
): KeyCall<Input, Output> {
  const { operation } = format;
  const path = `${mountPath}/${format.verb}/${keyName}`;
  const post = (body: unknown, signal: AbortSignal, more: Pick<OpenBaoCall, "lagCodes" | "isReply">) =>
    ask({ operation, method: "POST", path, body: JSON.stringify(body), idempotent: true, signal, ...more });
  const decode = (data: unknown, input: Input): Output => {
    const value = format.decode(data, input);
    if (value === undefined) {
      throw malformedReply(operation, path);
    }
    return value;
  };

  const single: KeyCall<Input, Output>["single"] = async (input, signal) => {
    const { data, requestId } = await post(format.encode(input), signal, { lagCodes: USE_LAG });
    return { value: decode(data, input), requestId };
  };

  const batch: KeyCall<Input, Output>["batch"] = async (inputs, signal) => {
    const body = { batch_input: inputs.map(format.encode) };
    const { data, requestId } = await post(body, signal, { isReply: isBatchReply });
    const parsed = v.safeParse(batchData, data);
    if (!parsed.success || parsed.output.batch_results.length !== inputs.length) {
      throw malformedReply(operation, path);
    }
    const results = parsed.output.batch_results;
    const outcomeOf = async (input: Input, batchIndex: number): Promise<Outcome<Answered<Output>>> => {
      try {
        const result = results[batchIndex];
        const text = errorOf(result);
        if (text === undefined) {
          throw malformedReply(operation, path);
        }
        if (text === "") {
          return { ok: true, value: { value: decode(result, input), requestId, batchIndex } };
        }
        const code = answerCodeOf(400, [text]);
        if (code === "decrypt_failed") {
          throw asTransitError(answerError(code, { operation, path }), path, "update");
        }
        // Any other error of an item: it may be a standby that lags, or say more when asked alone.
        return { ok: true, value: await single(input, signal) };
      } catch (error) {
        return { ok: false, error };
      }
    };
    return Promise.all(inputs.map(outcomeOf));
  };

  return { single, batch };
}

/** What went wrong with an item, empty when nothing did; `undefined` when it is not an item at all. */
function errorOf(result: unknown): string | undefined {
  if (!isJsonObject(result)) {
    return undefined;
  }
  const { error = "" } = result;
  return typeof error === "string" ? error : undefined;
}
