/** @module Checks: what one is, how several run in order, and how their results are printed. */
import { errnoOf } from "../base/errno.ts";
import { type ErrorClass, ProviderError } from "../base/error-class.ts";
import { seeCheck } from "../cli/describe-error.ts";
import { type Colour, jsonText, type Output, type Paint } from "../cli/output.ts";

export interface Finding {
  readonly severity: "failure" | "warning";
  /** Stable name of what was found. */
  readonly code: string;
  readonly errorClass?: ErrorClass;
  readonly message: string;
  /** What to type or change. */
  readonly advice: string;
}

/** What a check that came to an end says. Without a failure among its findings it has passed. */
export interface CheckOutcome {
  readonly findings?: readonly Finding[];
  /** What was seen, in a few words, for those who read that it is good. */
  readonly detail?: string;
  /** Set when there was nothing to check, with the reason. */
  readonly skipped?: string;
}

export interface Check<Id extends string, Context> {
  readonly id: Id;
  /** What is proven when it passes. */
  readonly proves: string;
  /** Checks that must have passed, with or without warnings. */
  readonly needs: readonly Id[];
  /** What to do when it fails and no finding says so more exactly. */
  readonly whenFailed: string;
  readonly run: (context: Context, signal: AbortSignal) => Promise<CheckOutcome> | CheckOutcome;
}

export type CheckStatus = "passed" | "warning" | "failed" | "skipped";

export interface CheckResult<Id extends string = string> {
  readonly id: Id;
  readonly status: CheckStatus;
  readonly detail: string;
  readonly findings: readonly Finding[];
}

export function failure(code: string, message: string, advice: string, errorClass?: ErrorClass): Finding {
  return { severity: "failure", code, message, advice, ...(errorClass === undefined ? {} : { errorClass }) };
}

export function warning(code: string, message: string, advice: string): Finding {
  return { severity: "warning", code, message, advice };
}

/** Without those whose condition was false. */
export function raised(...findings: readonly (Finding | false)[]): readonly Finding[] {
  return findings.filter((finding) => finding !== false);
}

/** What was thrown, as a finding. Of an unknown error only the system's code is shown. */
export function findingOf(error: unknown, whenFailed: string): Finding {
  return error instanceof ProviderError
    ? failure(error.code, error.message, error.advice ?? whenFailed, error.errorClass)
    : failure(
        "unexpected",
        `the check itself failed with an unexpected error (${errnoOf(error) ?? "no code of the system"})`,
        whenFailed,
        "unknown",
      );
}

/** The same error with advice that the check knows better, when it has this code; else the error itself. */
export function withAdvice(error: unknown, code: string, advice: (given: string) => string): unknown {
  return error instanceof ProviderError && error.code === code
    ? new ProviderError({
        code,
        errorClass: error.errorClass,
        message: error.message,
        advice: advice(error.advice ?? ""),
        cause: error.cause,
      })
    : error;
}

/**
 * Runs the checks in their order and hands each result to `onResult` as soon as it is there. `before` are results of an
 * earlier run that prerequisites may name; they are part of what is returned.
 * @throws the signal's reason when it aborts.
 */
export async function runChecks<Id extends string, Context>(
  checks: readonly Check<Id, Context>[],
  context: Context,
  signal: AbortSignal,
  onResult: (result: CheckResult<Id>) => void = () => {},
  before: readonly CheckResult<Id>[] = [],
): Promise<readonly CheckResult<Id>[]> {
  const results = new Map<Id, CheckResult<Id>>(before.map((result) => [result.id, result]));
  for (const check of checks) {
    signal.throwIfAborted();
    const missing = check.needs.find((id) => {
      const status = results.get(id)?.status;
      return status !== "passed" && status !== "warning";
    });
    const result =
      missing === undefined
        ? await runOne(check, context, signal)
        : { id: check.id, status: "skipped" as const, detail: `needs ${missing}`, findings: [] };
    results.set(check.id, result);
    onResult(result);
  }
  return [...results.values()];
}

async function runOne<Id extends string, Context>(
  check: Check<Id, Context>,
  context: Context,
  signal: AbortSignal,
): Promise<CheckResult<Id>> {
  const { id, whenFailed } = check;
  try {
    const { findings = [], detail = "", skipped } = await check.run(context, signal);
    if (skipped !== undefined) {
      return { id, status: "skipped", detail: skipped, findings };
    }
    const status = findings.some(({ severity }) => severity === "failure")
      ? "failed"
      : findings.length > 0
        ? "warning"
        : "passed";
    return { id, status, detail, findings };
  } catch (error) {
    signal.throwIfAborted();
    return { id, status: "failed", detail: "", findings: [findingOf(error, whenFailed)] };
  }
}

/** Colour and mark of a check, and the word that counts it. */
const STATUSES: Readonly<Record<CheckStatus, readonly [colour: Colour, mark: string, word: string]>> = {
  passed: ["green", "✓", "passed"],
  warning: ["yellow", "!", "with a warning"],
  failed: ["red", "✗", "failed"],
  skipped: ["dim", "–", "skipped"],
};

/** A report of checks: for a person each as it comes in, then a summary; for a program one JSON text at the end. */
export function checkReport(output: Output, format: "text" | "json", ids: readonly string[]) {
  const width = Math.max(...ids.map((id) => id.length));
  return {
    onResult: (result: CheckResult): void => {
      if (format === "text") {
        printCheck(output, result, width);
      }
    },
    /** Whether no check failed. `facts` are what JSON has beside the checks. */
    end: (results: readonly CheckResult[], facts: () => object): boolean => {
      const good = !results.some(({ status }) => status === "failed");
      if (format === "text") {
        printSummary(output, results);
      } else {
        const checks = results.map(({ id, status, detail, findings }) => ({ id, status, detail, findings }));
        output.result(jsonText({ good, ...facts(), checks }));
      }
      return good;
    },
  };
}

/** Prints one check; `width` is that of the longest id. */
export function printCheck(output: Output, result: CheckResult, width: number): void {
  output.result(`${checkLines(result, width, output.paint).join("\n")}\n`);
}

/** The last line leads to the first check that failed, or else to the first with a warning. */
export function printSummary(output: Output, results: readonly CheckResult[]): void {
  const first =
    results.find(({ status }) => status === "failed") ?? results.find(({ status }) => status === "warning");
  output.result(`\n${summaryLine(results)}\n${first === undefined ? "" : `${seeCheck(first.id)}\n`}`);
}

export function checkLines(
  { id, status, detail, findings }: CheckResult,
  width: number,
  paint: Paint,
): readonly string[] {
  const [colour, mark] = STATUSES[status];
  const text = status === "skipped" ? `skipped: ${detail}` : detail;
  return [
    `${paint(colour, mark)} ${id.padEnd(width)}${text === "" ? "" : `  ${paint("dim", text)}`}`.trimEnd(),
    ...findings.flatMap(({ severity, message, advice }) => [
      `    ${paint(severity === "failure" ? "red" : "yellow", `${severity}:`)} ${message}`,
      `    fix: ${advice}`,
    ]),
  ];
}

/** `12 passed, 1 with a warning, 1 failed, 3 skipped` */
export function summaryLine(results: readonly CheckResult[]): string {
  return Object.entries(STATUSES)
    .map(([status, [, , word]]) => [results.filter((each) => each.status === status).length, word] as const)
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${count} ${word}`)
    .join(", ");
}
