/**
 * @module Encrypt and decrypt as calls: one at a time, or many in one request.
 * @see https://openbao.org/api-docs/secret/transit/#batch_input
 */
import * as v from "valibot";
import { isJsonObject } from "../../base/parse-json.ts";
import { answerCodeOf } from "../client/answer.ts";
import type { OpenBaoCall, OpenBaoReply } from "../client/attempt.ts";
import { answerError, type OpenBaoCode } from "../client/errors.ts";
import type { Outcome } from "./coalesce.ts";
import { asTransitError, malformedReply } from "./errors.ts";
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

interface KeyCallOptions {
  readonly ask: (call: Omit<OpenBaoCall, "token">) => Promise<OpenBaoReply>;
  readonly mountPath: string;
  readonly keyName: string;
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
  { ask, mountPath, keyName }: KeyCallOptions,
): KeyCall<Input, Output> {
  const { operation } = format;
  const path = `${mountPath}/${format.verb}/${keyName}`;
  const post = (
    body: unknown,
    signal: AbortSignal,
    { lagCodes, isReply }: Pick<OpenBaoCall, "lagCodes" | "isReply">,
  ) =>
    ask({
      operation,
      method: "POST",
      path,
      body: JSON.stringify(body),
      idempotent: true,
      signal,
      lagCodes,
      isReply,
    });

  const single: KeyCall<Input, Output>["single"] = async (input, signal) => {
    const { data, requestId } = await post(format.encode(input), signal, { lagCodes: USE_LAG });
    const value = format.decode(data, input);
    if (value === undefined) {
      throw malformedReply(operation, path);
    }
    return { value, requestId };
  };

  const outcomeAlone = async (input: Input, signal: AbortSignal): Promise<Outcome<Answered<Output>>> => {
    try {
      return { ok: true, value: await single(input, signal) };
    } catch (error) {
      return { ok: false, error };
    }
  };

  const batch: KeyCall<Input, Output>["batch"] = async (inputs, signal) => {
    const body = { batch_input: inputs.map(format.encode) };
    const { data, requestId } = await post(body, signal, { isReply: isBatchReply });
    const parsed = v.safeParse(batchData, data);
    if (!parsed.success || parsed.output.batch_results.length !== inputs.length) {
      throw malformedReply(operation, path);
    }
    const results = parsed.output.batch_results;
    const outcomeOf = (input: Input, batchIndex: number): Outcome<Answered<Output>> | undefined => {
      const result = results[batchIndex];
      const text = errorOf(result);
      if (text === undefined) {
        return { ok: false, error: malformedReply(operation, path) };
      }
      if (text !== "") {
        const code = answerCodeOf(400, [text]);
        return code === "decrypt_failed"
          ? { ok: false, error: asTransitError(answerError(code, { operation, path }), path, "update") }
          : undefined;
      }
      try {
        const value = format.decode(result, input);
        return value === undefined
          ? { ok: false, error: malformedReply(operation, path) }
          : { ok: true, value: { value, requestId, batchIndex } };
      } catch (error) {
        return { ok: false, error };
      }
    };
    return Promise.all(
      // Any other error of an item: it may be a standby that lags, or say more when asked alone.
      inputs.map(async (input, index) => outcomeOf(input, index) ?? outcomeAlone(input, signal)),
    );
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
