/** @module Reports that are lists of checks: printed as they come in for a person, all at once for a program. */
import type { Colour, Output } from "../cli/output.ts";
import { seeCheck } from "../cli/see-also.ts";
import type { CheckResult } from "./check.ts";
import { checkLines, summaryLine, type Tone } from "./check-text.ts";

const COLOURS: Readonly<Record<Tone, Colour>> = { good: "green", warn: "yellow", bad: "red", dim: "dim" };

/** Prints one check; `width` is that of the longest id. */
export function printCheck(output: Output, result: CheckResult, width: number): void {
  const lines = checkLines(result, width, (tone, text) => output.paint(COLOURS[tone], text));
  output.result(`${lines.join("\n")}\n`);
}

/** The last line leads to the first check that failed, or else to the first with a warning. */
export function printSummary(output: Output, results: readonly CheckResult[]): void {
  const first =
    results.find(({ status }) => status === "failed") ?? results.find(({ status }) => status === "warning");
  output.result(`\n${summaryLine(results)}\n${first === undefined ? "" : `${seeCheck(first.id)}\n`}`);
}

/** How a check stands in JSON. */
export function checkJson({ id, status, detail, findings }: CheckResult) {
  return { id, status, detail, findings };
}
