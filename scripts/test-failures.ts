/** @module What failed in the output of a `bun test`, out of thousands of lines. */

/** A line with which bun begins a file, ends a test, or reports what no test owns. */
const RESULT = /^\((?:pass|skip|todo)\) /;
const FAILED = /^\(fail\) /;
const FILE = /^(\S+\.test\.ts):$/;
const UNOWNED = "# Unhandled error between tests";
const TIMED_OUT = /^\s+\^ this test timed out/;

export interface Failure {
  /** Path of the test file, as bun prints it. */
  readonly file: string;
  /** Its reason, and its name last. */
  readonly text: string;
}

/**
 * The failures in `output`, each with the lines before its name (bun prints the reason above it), in the order of the output. An
 * error between tests is one of them. Of each, at most `linesEach` lines stay, those nearest to its name.
 */
export function failuresIn(output: string, { linesEach = 24, lineLength = 240 } = {}): readonly Failure[] {
  const failures: Failure[] = [];
  let file = "";
  let since: string[] = [];
  const keep = (): void => {
    const lines = since.filter((line) => line.trim() !== "").slice(-linesEach);
    failures.push({ file, text: lines.map((line) => line.slice(0, lineLength)).join("\n") });
    since = [];
  };
  // The list that bun repeats at the end of a long run has the names alone.
  const body = output.split(/^\d+ tests? failed:$/m)[0] ?? "";
  for (const line of body.split("\n")) {
    const last = failures.at(-1);
    if (FILE.test(line) || RESULT.test(line)) {
      if (since.includes(UNOWNED)) {
        keep();
      }
      file = FILE.exec(line)?.[1] ?? file;
      since = [];
    } else if (TIMED_OUT.test(line) && last !== undefined) {
      failures.splice(-1, 1, { file: last.file, text: `${last.text}\n${line}` });
    } else {
      since.push(line);
      if (FAILED.test(line)) {
        keep();
      }
    }
  }
  if (since.includes(UNOWNED)) {
    keep();
  }
  return failures;
}

/** The flakes of a run, counted and named, each file once; nothing when there is none. */
export function flakeReport(
  reruns: readonly { readonly suite: string; readonly passedAgain: readonly Failure[] }[],
): string | undefined {
  const flakes = new Set(
    reruns.flatMap(({ suite, passedAgain }) => passedAgain.map(({ file }) => `suite ${suite}, ${file}`)),
  );
  return flakes.size === 0
    ? undefined
    : `test files that passed only when asked again: ${flakes.size}\n${[...flakes].map((flake) => `- ${flake}\n`).join("")}`;
}
