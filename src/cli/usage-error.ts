/** @module A command line that the parser accepts and the command does not. */
import { ProviderError } from "../base/error-class.ts";

export class UsageError extends ProviderError<"usage"> {
  constructor(message: string, advice?: string) {
    super({
      code: "usage",
      errorClass: "config_invalid",
      message,
      advice,
    });
  }
}
