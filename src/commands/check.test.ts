import { expect, test } from "bun:test";
import { recordedOutput } from "../../test/fakes/recorded-output.ts";
import { ProviderError } from "../base/error-class.ts";
import {
  type Check,
  type CheckOutcome,
  type CheckResult,
  type CheckStatus,
  checkLines,
  failure,
  printCheck,
  printSummary,
  runChecks,
  summaryLine,
  warning,
  withAdvice,
} from "./check.ts";

const never = new AbortController().signal;
const refused = (advice?: string) =>
  new ProviderError({
    code: "sealed",
    errorClass: "openbao_sealed",
    message: "m",
    ...(advice === undefined ? {} : { advice }),
  });
const check = (
  id: string,
  run: (context: string) => CheckOutcome | Promise<CheckOutcome>,
  needs: readonly string[] = [],
): Check<string, string> => ({
  id,
  proves: "",
  needs,
  whenFailed: "look",
  run: async (context) => run(context),
});
const thrown = (error: unknown) => (): CheckOutcome => {
  throw error;
};
const run = (checks: readonly Check<string, string>[], before: readonly CheckResult[] = []) =>
  runChecks(checks, "context", never, () => {}, before);

test.each<[string, (context: string) => CheckOutcome, object]>([
  ["nothing", () => ({}), { status: "passed", detail: "", findings: [] }],
  [
    "a detail of what it was given",
    (context) => ({ detail: context }),
    { status: "passed", detail: "context" },
  ],
  ["why it does not apply", () => ({ skipped: "no Date" }), { status: "skipped", detail: "no Date" }],
  ["a warning", () => ({ findings: [warning("w", "m", "a")] }), { status: "warning" }],
  [
    "a warning and a failure",
    () => ({ findings: [warning("w", "m", "a"), failure("f", "m", "a", "auth_failed")] }),
    { status: "failed", findings: [{ code: "w" }, { code: "f", errorClass: "auth_failed" }] },
  ],
  [
    "an error with advice",
    thrown(refused("unseal")),
    { status: "failed", findings: [{ code: "sealed", errorClass: "openbao_sealed", advice: "unseal" }] },
  ],
  [
    "an error without",
    thrown(refused()),
    { status: "failed", findings: [{ code: "sealed", advice: "look" }] },
  ],
  [
    "anything else",
    thrown(new Error("SECRET")),
    {
      status: "failed",
      findings: [
        {
          code: "unexpected",
          errorClass: "unknown",
          message: expect.not.stringContaining("SECRET"),
          advice: "look",
        },
      ],
    },
  ],
])("a check that gives %s", async (_, outcome, expected) => {
  expect(await run([check("a", outcome)])).toMatchObject([{ id: "a", ...expected }]);
});

test("a check runs when those that it needs passed or warned, in this run or before", async () => {
  const seen: string[] = [];
  const results = await runChecks(
    [
      check("warns", () => ({ findings: [warning("w", "m", "a")] })),
      check("fails", thrown(refused())),
      check("after both", () => ({}), ["warns", "before", "fails"]),
      check("after the skipped", () => ({}), ["after both"]),
      check("after the good", () => ({}), ["warns", "before"]),
    ],
    "context",
    never,
    ({ id }) => seen.push(id),
    [{ id: "before", status: "passed", detail: "", findings: [] }],
  );
  expect(results.map(({ id, status, detail }) => [id, status, detail])).toEqual([
    ["before", "passed", ""],
    ["warns", "warning", ""],
    ["fails", "failed", ""],
    ["after both", "skipped", "needs fails"],
    ["after the skipped", "skipped", "needs after both"],
    ["after the good", "passed", ""],
  ]);
  expect(seen).toEqual(results.slice(1).map(({ id }) => id));
});

test("an abort ends the run with its reason, before a check and in one", async () => {
  const controller = new AbortController();
  const stop = check("stop", () => {
    controller.abort(new Error("stopped"));
    throw new Error("cut");
  });
  let isBegun = false;
  const next = check("next", () => {
    isBegun = true;
    return {};
  });
  await expect(runChecks([stop, next], "", controller.signal)).rejects.toThrow("stopped");
  await expect(runChecks([next], "", controller.signal)).rejects.toThrow("stopped");
  expect(isBegun).toBe(false);
});

test("better advice goes to the error of that code alone", () => {
  const error = refused("unseal");
  expect(withAdvice(error, "sealed", (given) => `${given}, then wait`)).toMatchObject({
    code: "sealed",
    advice: "unseal, then wait",
  });
  expect(withAdvice(refused(), "sealed", (given) => `${given}wait`)).toMatchObject({ advice: "wait" });
  const other = new Error("x");
  expect([withAdvice(error, "other", () => "x"), withAdvice(other, "sealed", () => "x")]).toEqual([
    error,
    other,
  ]);
});

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
