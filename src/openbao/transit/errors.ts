/** @module What can go wrong when Transit is asked. */
import { ProviderError } from "../../base/error-class.ts";
import type { Operation } from "../../base/operation.ts";
import { answerError, type OpenBaoCode, OpenBaoError } from "../client/errors.ts";

export type TransitCode =
  | OpenBaoCode
  /** Not the canonical spelling, or longer than 1024 bytes; OpenBao was not asked. */
  | "ciphertext_malformed"
  /** Its ciphertext could be longer than 1024 bytes; OpenBao was not asked. */
  | "plaintext_too_large"
  /** OpenBao encrypted under another version of the key than it was told to. */
  | "wrong_version";

export class TransitError extends ProviderError<TransitCode> {}

/** An OpenBaoError with what only this layer knows: the capability that a policy must give. Others stay as they are. */
export function asTransitError(error: unknown, path: string, capability: "read" | "update"): unknown {
  if (!(error instanceof OpenBaoError)) {
    return error;
  }
  const { code, errorClass, message } = error;
  const advice =
    code === "permission_denied"
      ? `add to a policy of the token's role: path "${path}" { capabilities = ["${capability}"] }`
      : error.advice;
  return new TransitError({ code, errorClass, message, advice, cause: error });
}

/** The error of an answer that is a success and makes no sense. */
export function malformedReply(operation: Operation, path: string): unknown {
  return asTransitError(answerError("reply_malformed", { operation, path }), path, "read");
}
