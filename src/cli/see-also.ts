/** @module Where to read more: the anchor of an error class or a check in the troubleshooting page that the packages install. */
import { type ErrorClass, errorClassOf } from "../base/error-class.ts";
import { UsageError } from "./usage-error.ts";

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
