/** @module What a command refuses: its command line, or what it finds on this machine. */
import { ProviderError } from "../base/error-class.ts";

type CommandErrorCode =
  | "usage"
  | "not_root"
  | "not_approle"
  | "user_unknown"
  | "group_unknown"
  | "apiserver_absent"
  | "apiserver_ambiguous"
  | "directory_missing"
  | "directory_unsafe"
  | "file_exists"
  | "file_not_regular";

export class CommandError extends ProviderError<CommandErrorCode> {
  constructor(code: CommandErrorCode, message: string, advice?: string, cause?: unknown) {
    super({ code, errorClass: "config_invalid", message, advice, cause });
  }
}

/** A command line that the parser accepts and the command does not. */
export class UsageError extends CommandError {
  constructor(message: string, advice?: string) {
    super("usage", message, advice);
  }
}
