/** @module Reports that are lists of checks: printed as they come in for a person, all at once for a program. */
import type { Colour, Output } from "../cli/output.ts";
import { seeCheck } from "../cli/see-also.ts";
import type { CheckResult, CheckStatus } from "./check.ts";

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

type Tone = "good" | "warn" | "bad" | "dim";
type PaintTone = (tone: Tone, text: string) => string;

const MARKS: Readonly<Record<CheckStatus, readonly [tone: Tone, mark: string]>> = {
  passed: ["good", "✓"],
  warning: ["warn", "!"],
  failed: ["bad", "✗"],
  skipped: ["dim", "–"],
};

/** The lines of one check. */
export function checkLines(
  { id, status, detail, findings }: CheckResult,
  width: number,
  paint: PaintTone,
): readonly string[] {
  const [tone, mark] = MARKS[status];
  const text = status === "skipped" ? `skipped: ${detail}` : detail;
  return [
    `${paint(tone, mark)} ${id.padEnd(width)}${text === "" ? "" : `  ${paint("dim", text)}`}`.trimEnd(),
    ...findings.flatMap(({ severity, message, advice }) => [
      `    ${paint(severity === "failure" ? "bad" : "warn", `${severity}:`)} ${message}`,
      `    fix: ${advice}`,
    ]),
  ];
}

/** `12 passed, 1 with a warning, 1 failed, 3 skipped` */
export function summaryLine(results: readonly CheckResult[]): string {
  const count = (status: CheckStatus): number => results.filter((each) => each.status === status).length;
  const parts: readonly (readonly [number, string])[] = [
    [count("passed"), "passed"],
    [count("warning"), "with a warning"],
    [count("failed"), "failed"],
    [count("skipped"), "skipped"],
  ];
  return parts
    .filter(([number]) => number > 0)
    .map(([number, text]) => `${number} ${text}`)
    .join(", ");
}
