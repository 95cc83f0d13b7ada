/** @module Results of checks as text: one line for each check, then each finding and its fix. */
import type { CheckResult, CheckStatus } from "./check.ts";

export type Tone = "good" | "warn" | "bad" | "dim";
export type PaintTone = (tone: Tone, text: string) => string;

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
