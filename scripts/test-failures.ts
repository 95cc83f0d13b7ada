/**
 * What failed in the output of a `bun test`: the blocks that a reader looks for, out of thousands of lines.
 *
 * @module A pure reader of text. Running suites and counting live in test.ts.
 */

/** A line with which bun begins a file, ends a test, or reports what no test owns. */
const RESULT = /^\((?:pass|skip|todo)\) /;
const FAILED = /^\(fail\) /;
const FILE = /^\S+\.test\.ts:$/;
const UNOWNED = "# Unhandled error between tests";
const TIMED_OUT = /^\s+\^ this test timed out/;

export interface FailureBounds {
  /** Lines kept of one failure, its name among them; the ones nearest to the name stay. */
  readonly linesEach: number;
  /** Characters kept of a line. */
  readonly lineLength: number;
}

/**
 * The failures in `output`, each with the file it is of and the lines before it (bun prints the reason above the name), in the
 * order of the output. An error between tests is one of them.
 */
export function failuresIn(
  output: string,
  { linesEach, lineLength }: FailureBounds = { linesEach: 24, lineLength: 240 },
): readonly string[] {
  const failures: string[] = [];
  let file = "";
  let since: string[] = [];
  const keep = (): void => {
    const lines = since.filter((line) => line.trim() !== "").slice(-linesEach);
    failures.push([file, ...lines.map((line) => line.slice(0, lineLength))].join("\n"));
    since = [];
  };
  // The list that bun repeats at the end of a long run has the names alone.
  const body = output.split(/^\d+ tests? failed:$/m)[0] ?? "";
  for (const line of body.split("\n")) {
    if (FILE.test(line) || RESULT.test(line)) {
      if (since.includes(UNOWNED)) {
        keep();
      }
      file = FILE.test(line) ? line : file;
      since = [];
    } else if (TIMED_OUT.test(line) && failures.length > 0) {
      failures.push(`${failures.pop()}\n${line}`);
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
