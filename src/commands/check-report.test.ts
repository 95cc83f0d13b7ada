import { expect, test } from "bun:test";
import { recordedOutput } from "../../test/fakes/recorded-output.ts";
import { type CheckResult, type CheckStatus, failure, warning } from "./check.ts";
import { checkLines, printCheck, printSummary, summaryLine } from "./check-report.ts";

const result = (id: string, status: CheckStatus, change: Partial<CheckResult> = {}): CheckResult => ({
  id,
  status,
  detail: "",
  findings: [],
  ...change,
});
const plain = (_: string, text: string): string => text;

test.each<[CheckResult, readonly string[]]>([
  [result("a", "passed"), ["✓ a"]],
  [result("a", "passed", { detail: "all" }), ["✓ a    all"]],
  [result("a", "skipped", { detail: "needs b" }), ["– a    skipped: needs b"]],
  [
    result("a", "failed", { findings: [failure("f", "bad", "repair it"), warning("w", "odd", "look")] }),
    ["✗ a", "    failure: bad", "    fix: repair it", "    warning: odd", "    fix: look"],
  ],
  [
    result("a", "warning", { findings: [warning("w", "odd", "look")] }),
    ["! a", "    warning: odd", "    fix: look"],
  ],
])("the lines of %j", (each, lines) => {
  expect(checkLines(each, 3, plain)).toEqual([...lines]);
  const output = recordedOutput();
  printCheck(output, each, 3);
  expect(output.stdout()).toBe(`${lines.join("\n")}\n`);
});

test("the summary counts each status that there is", () => {
  const results = (["passed", "passed", "warning", "failed", "skipped"] as const).map((status, index) =>
    result(`${index}`, status),
  );
  expect(summaryLine(results)).toBe("2 passed, 1 with a warning, 1 failed, 1 skipped");
  expect(summaryLine(results.slice(0, 2))).toBe("2 passed");
});

test.each<[readonly CheckStatus[], string | undefined]>([
  [["passed", "warning", "failed", "failed"], "2"],
  [["passed", "warning", "warning"], "1"],
  [["passed", "skipped"], undefined],
])("after %p the last line leads to check %p", (statuses, id) => {
  const output = recordedOutput();
  printSummary(
    output,
    statuses.map((status, index) => result(`check.${index}`, status)),
  );
  const [, , last = ""] = output.stdout().split("\n");
  expect(/check\W?(\d)/.exec(last)?.[1]).toBe(id);
});
