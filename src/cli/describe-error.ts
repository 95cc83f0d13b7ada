/** @module What stderr shows of a failure, with where to read more. Of a foreign error only the kind is shown: its text may be a remote's. */
import { type ErrorClass, errorClassOf, ProviderError } from "../base/error-class.ts";
import { visible } from "../base/visible-text.ts";
import { ConfigError, describeProblem } from "../config/errors.ts";
import { UsageError } from "./errors.ts";

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

export const TROUBLESHOOTING_PAGE = "/usr/share/doc/bao-kms-provider/troubleshooting.md";

export function seeClass(errorClass: ErrorClass): string {
  return `see: ${TROUBLESHOOTING_PAGE}#${errorClass}`;
}

/** GitHub and the documentation's site leave the dots out of an anchor. */
export function seeCheck(id: string): string {
  return `see: ${TROUBLESHOOTING_PAGE}#${id.replaceAll(".", "")}`;
}

/** The last line of a command that failed. A wrong command line leads to the command's help. */
export function seeError(error: unknown, command: string): string {
  return error instanceof UsageError
    ? `see: bao-kms-provider ${command} --help`
    : seeClass(errorClassOf(error));
}
