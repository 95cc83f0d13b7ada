/** @module `npm test`: runs suite after suite, a folder each, and closes with what failed and the counts; --help describes the rest. */
import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { Glob } from "bun";
import { builtExecutable } from "../test/harness/executable.ts";
import { importDistances } from "./import-closure.ts";
import { type Failure, failuresIn, flakeReport } from "./test-failures.ts";

const root = dirname(import.meta.dir);
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "test-name-pattern": { type: "string", short: "t" },
    "fail-on-flakes": { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

/** What takes longest comes last. */
const LAST = ["conformance", "real"];
/** Suites that mostly wait (kube-apiserver asks once a minute): they run beside the others, their output follows at the end. */
const ALONGSIDE = new Set(["cluster", "kube-node"]);

/**
 * Suites of real processes that share a machine with each other, where a test may run out of time for no fault of what it tests.
 * A file of theirs that failed is run once more by itself. If it passes then, it is a flake: counted and named, and a failure
 * with --fail-on-flakes.
 */
const ASKED_AGAIN = new Set([
  "contract",
  "executable",
  "conformance",
  "systemd",
  "faults",
  "real",
  "cluster",
  "kube-node",
]);

const HELP = `Usage: npm test -- [SUITE or PATH …] [OPTIONS]

Runs all suites, or those that are named; a path of a test file or of a folder works too.
Suites of real components skip what is not on PATH, unless REQUIRE_REAL=1 is set.

Options:
  -t, --test-name-pattern NAME  Only tests whose name matches this regular expression
  --fail-on-flakes              A file that passes only when it is run again is a failure
  -h, --help                    This text

Examples:
  npm test -- unit contract
  npm test -- src/cli/parse.test.ts -t help
  npm test -- src/key

Suites: `;

/** Of one test, for slow machines; those that take longer say so themselves. */
const TIMEOUT = "--timeout=60000";

/** `src/**` is the suite "unit"; under test/ each folder is one; packaging/ and scripts/ are their own. */
function suiteOf(file: string): string {
  const [top = "", second = ""] = file.split("/");
  return top === "src" ? "unit" : top === "test" ? second : top;
}

function suites(): ReadonlyMap<string, readonly string[]> {
  const files = [...new Glob("{src,test,scripts,packaging}/**/*.test.ts").scanSync(root)].sort();
  const rank = (name: string): number => LAST.indexOf(name);
  return new Map([...Map.groupBy(files, suiteOf)].sort(([a], [b]) => rank(a) - rank(b)));
}

/** What failed in the first run and not in the second. */
const noFailures: readonly Failure[] = [];

type SuiteResult = Awaited<ReturnType<typeof runSuite>>;

/** Runs `bun test` on files, hands its output on as it comes, and reads the totals from its end and what failed from the whole. */
async function runSuite(name: string, files: readonly string[], write: (text: string) => void) {
  const began = performance.now();
  const filter = values["test-name-pattern"];
  const named = filter === undefined ? [] : ["-t", filter];
  const args = ["test", TIMEOUT, ...named, ...files.map((file) => `./${file}`)];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const keep = (text: string): void => {
    write(text);
    output += text;
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", keep);
  }
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  const tail = output.slice(-4096);
  const count = (word: string): number =>
    Number(new RegExp(`^\\s*(\\d+) ${word}$`, "m").exec(tail)?.[1] ?? 0);
  const pass = count("pass");
  // A crash, or a failure outside any test, is a failure too.
  const fail = Math.max(count("fail"), status === 0 ? 0 : 1);
  const skip = count("skip");
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const failures = failuresIn(output);
  keep(`suite ${name}: ${pass} passed, ${fail} failed, ${skip} skipped in ${seconds} s\n`);
  return { name, pass, fail, skip, output, failures, passedAgain: noFailures };
}

function chosenSuites(names: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const all = suites();
  if (names.length === 0) {
    return all;
  }
  return new Map(
    names.map((name) => {
      const path = name.replace(/^\.\//, "").replace(/\/$/, "");
      const every = [...all.values()].flat();
      const files = all.get(name) ?? every.filter((file) => file === path || file.startsWith(`${path}/`));
      if (files.length === 0) {
        console.error(`test: no suite or path ${name}; suites: ${[...all.keys()].join(", ")}`);
        process.exit(2);
      }
      return [name, files];
    }),
  );
}

/** Gives the failed files of a suite their second run, where it may have one; what failed in the first stays told. */
async function askedAgain(result: SuiteResult): Promise<SuiteResult> {
  const { name, failures, pass, fail } = result;
  const files = [...new Set(failures.map(({ file }) => file))];
  if (!ASKED_AGAIN.has(name) || files.length === 0) {
    return result;
  }
  const again = await runSuite(name, files, print);
  return again.fail === 0
    ? { ...result, pass: pass + fail, fail: 0, failures: [], passedAgain: failures }
    : result;
}

function tell(what: string, suite: string, failures: readonly Failure[]): void {
  for (const { file, text } of failures) {
    console.log(`\n${what}: suite ${suite}, ${file}\n${text}`);
  }
}

const print = (text: string): void => {
  process.stdout.write(text);
};
if (values.help) {
  console.log(HELP + [...suites().keys()].join(", "));
  process.exit(0);
}
const chosen = [...chosenSuites(positionals)];
const usesExecutable = (file: string): boolean =>
  importDistances(root, file).has("test/harness/executable.ts");
if (chosen.some(([, files]) => files.some(usesExecutable))) {
  // Once, before suites that run side by side would build it both.
  builtExecutable();
}
const alongside = chosen
  .filter(([name]) => ALONGSIDE.has(name))
  .map(([name, files]) => runSuite(name, files, () => {}));
const all: SuiteResult[] = [];
for (const [name, files] of chosen.filter(([each]) => !ALONGSIDE.has(each))) {
  all.push(await runSuite(name, files, print));
}
for (const result of await Promise.all(alongside)) {
  print(result.output);
  all.push(result);
}
const results: SuiteResult[] = [];
for (const result of all) {
  results.push(await askedAgain(result));
}
for (const { name, failures, passedAgain } of results) {
  tell("passed only when asked again", name, passedAgain);
  tell("failed", name, failures);
}
const flakes = flakeReport(results.map(({ name: suite, passedAgain }) => ({ suite, passedAgain })));
if (flakes !== undefined) {
  console.log(`\n${flakes}`);
  const summary = process.env["GITHUB_STEP_SUMMARY"];
  if (summary !== undefined) {
    appendFileSync(summary, flakes);
  }
}
const sum = (count: "pass" | "fail" | "skip"): number =>
  results.reduce((total, each) => total + each[count], 0);
console.log(`${sum("pass")} passed, ${sum("fail")} failed, ${sum("skip")} skipped`);
process.exitCode = sum("fail") > 0 || (values["fail-on-flakes"] && flakes !== undefined) ? 1 : 0;
