import { describe, expect, test } from "bun:test";
import { failuresIn, flakeReport } from "./test-failures.ts";

const OUTPUT = `bun test v1.4.5 (a7733435c)

src/a.test.ts:
(pass) a > good
talk of a test
12 |   expect(1).toBe(2);
error: expect(received).toBe(expected)

Expected: 2
(fail) a > bad [4.66ms]
(fail) a > slow [100.13ms]
  ^ this test timed out after 100ms.

src/b.test.ts:

# Unhandled error between tests
-------------------------------
error: Cannot find module
-------------------------------

src/c.test.ts:
(pass) c > good
(skip) c > later

2 tests failed:
(fail) a > bad [4.66ms]
(fail) a > slow [100.13ms]

 2 pass
 2 fail
 1 error
`;

describe("failures in the output of a test run", () => {
  test("each comes once, with its file, its reason and its name", () => {
    const failures = failuresIn(OUTPUT);
    expect(failures).toHaveLength(3);
    expect(failures.map(({ file }) => file)).toEqual(["src/a.test.ts", "src/a.test.ts", "src/b.test.ts"]);
    expect(failures[0]?.text).toBe(
      [
        "talk of a test",
        "12 |   expect(1).toBe(2);",
        "error: expect(received).toBe(expected)",
        "Expected: 2",
        "(fail) a > bad [4.66ms]",
      ].join("\n"),
    );
    expect(failures[1]?.text).toContain("timed out after 100ms");
    expect(failures[2]?.text).toContain("Cannot find module");
  });

  test("an error between tests at the very end is seen", () => {
    expect(
      failuresIn("src/a.test.ts:\n(pass) a\n# Unhandled error between tests\nerror: late\n"),
    ).toHaveLength(1);
  });

  test("of long reasons the lines nearest to the name stay", () => {
    const long = Array.from({ length: 100 }, (_, line) => `line ${line} ${"x".repeat(50)}`).join("\n");
    const [failure] = failuresIn(`src/a.test.ts:\n${long}\n(fail) a\n`, {
      linesEach: 3,
      lineLength: 10,
    });
    expect(failure?.text.split("\n")).toEqual(["line 98 xx", "line 99 xx", "(fail) a"]);
  });

  test("nothing failed: nothing", () => {
    expect(failuresIn("src/a.test.ts:\n(pass) a\n\n 1 pass\n 0 fail\n")).toEqual([]);
  });
});

test("flakes are counted by file and named with their suite", () => {
  const failure = (file: string) => ({ file, text: "" });
  expect(
    flakeReport([
      { suite: "real", passedAgain: [failure("test/real/a.test.ts"), failure("test/real/a.test.ts")] },
      { suite: "unit", passedAgain: [] },
      { suite: "faults", passedAgain: [failure("test/faults/b.test.ts")] },
    ]),
  ).toBe(
    "test files that passed only when asked again: 2\n- suite real, test/real/a.test.ts\n- suite faults, test/faults/b.test.ts\n",
  );
  expect(flakeReport([{ suite: "unit", passedAgain: [] }])).toBeUndefined();
});
