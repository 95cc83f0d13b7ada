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
