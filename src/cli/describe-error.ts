/** @module Lines for stderr when a command fails. Of a foreign error only the kind is shown: its text may be a remote's. */
import { ProviderError } from "../base/error-class.ts";
import { visible } from "../base/visible-text.ts";
import { ConfigError, describeProblem } from "../config/errors.ts";
import { seeClass } from "./see-also.ts";

export function describeError(error: unknown): readonly string[] {
  if (error instanceof ConfigError && error.problems.length > 0) {
    return error.problems.map(
      (problem) =>
        `error: ${visible(describeProblem(problem, error.source))}\n  fix: ${visible(problem.fix)}`,
    );
  }
  if (error instanceof ProviderError) {
    return [
      `error: ${visible(error.message)}${error.advice === undefined ? "" : `\n  fix: ${visible(error.advice)}`}`,
    ];
  }
  const errno = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  const kind = error instanceof Error ? error.name : typeof error;
  return [
    /^E[A-Z0-9]+$/.test(errno)
      ? `error: the operating system answered ${errno}`
      : `error: internal failure (${kind}); please report it with the command that you typed`,
  ];
}

/** The same for a log's last line. */
export function describeOnOneLine({ message, advice, errorClass }: ProviderError): string {
  return visible(
    `error: ${message}${advice === undefined ? "" : `; fix: ${advice}`}; ${seeClass(errorClass)}`,
  );
}
