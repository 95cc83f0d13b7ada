/** @module Why `init` makes nothing. */
import { ProviderError } from "../../base/error-class.ts";

type InitCode =
  | "values_incomplete"
  | "out_not_empty"
  | "out_unwritable"
  | "current_config_conflict"
  | "options_conflict";

export class InitError extends ProviderError<InitCode> {
  constructor(code: InitCode, message: string, advice: string, cause?: unknown) {
    super({
      code,
      errorClass: code === "out_unwritable" ? "unknown" : "config_invalid",
      message,
      advice,
      cause,
    });
  }
}

/** For options that do not fit each other, the model or the values. @throws InitError `options_conflict` */
export function refuseWhen(isConflict: boolean, message: string, advice: string): void {
  if (isConflict) {
    throw new InitError("options_conflict", message, advice);
  }
}
