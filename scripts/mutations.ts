/** @module Mutates one line of the sources at a time and runs the tests that should fail: `bun scripts/mutations.ts --help`. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { Glob } from "bun";
import { importDistances } from "./import-closure.ts";
import { EQUIVALENT } from "./mutations/equivalent.ts";
import { type Mutation, mutationsOf, sample } from "./mutations/mutate.ts";
import { NAMED } from "./mutations/named.ts";
import { mutationPage, type Outcome, type Result, score } from "./mutations/page.ts";
import { testsFail } from "./mutations/run-tests.ts";

const root = dirname(import.meta.dir);
const FLOOR_PERCENT = 95;
/** Tests that reach the file, nearest first. */
const MAX_TESTS = 20;
const NEAREST = 3;
/** Of the compiled provider, last: they build it first. */
const OF_THE_WHOLE = ["kms-v2", "operator-sees", "environment", "another-user"].map(
  (name) => `test/executable/${name}.test.ts`,
);
/** Suites without processes of others. */
const SUITES = /^(?:src|test\/(?:conformance|reference|architecture))\//;
/** Too slow for every mutation, or in need of a machine that does nothing else. */
const LEFT_OUT = /fuzz|h2spec|lock-out|conformance\/memory|\.race\.test|scale/;
/** Slow: run last, and only near the mutation. */
const SLOW = /\.kill\.test|model\.property|crash\.test|writers\.test/;
const SLOW_DISTANCE = 3;

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "300" },
    seed: { type: "string", default: "1" },
    only: { type: "string", default: "src/" },
    jobs: { type: "string", default: "2" },
    minutes: { type: "string", default: "60" },
    quick: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    "all-lines": { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(`Usage: bun scripts/mutations.ts [OPTIONS]

Applies single-line mutations to copies of the sources and runs the tests that import the changed file. A mutation that no test
sees survives. Ends with code 1 when fewer than ${FLOOR_PERCENT}% are seen. Tests that take two minutes or 4 GiB of memory fail.

Options:
  --count N      Mutations by rule, spread over the folders of src/; 0 leaves the named ones alone [default: 300]
  --seed TEXT    Another seed is another choice of lines [default: 1]
  --only PREFIX  Only files whose path begins so [default: src/]
  --all-lines    Every mutation of those files, not a choice
  --jobs N       Copies at the same time [default: 2]
  --minutes N    After this time no further mutation is begun; the rest counts as not run [default: 60]
  --quick        Without the tests of the compiled provider, which come last
  --write        Write the table to docs/mutations.md
  --list         Print the mutations and run nothing`);
  process.exit(0);
}

const files = [...new Glob("src/**/*.ts").scanSync(root)]
  .filter((file) => !/\.test\.ts$|\/gen\//.test(file) && file.startsWith(values.only))
  .sort();
const tests = [...new Glob("{src,test}/**/*.test.ts").scanSync(root)]
  .filter((file) => SUITES.test(file) && !LEFT_OUT.test(file))
  .sort();
const MAIN = importDistances(root, "src/main.ts");
const distances = new Map(tests.map((test) => [test, withStarted(importDistances(root, test))]));

const groupOf = (file: string): string => file.split("/").slice(0, -1).join("/");
const everyMutation = files.flatMap((file) => mutationsOf(file, readFileSync(join(root, file), "utf8")));
const byRule = values["all-lines"]
  ? everyMutation
  : values.count === "0"
    ? []
    : sample(everyMutation, { count: Number(values.count), seed: values.seed, groupOf });
const mutations: readonly Mutation[] = [
  ...Object.entries(NAMED)
    .filter(([under]) => under.startsWith(values.only))
    .flatMap(([under, swaps]) => swaps.map(([before, after]) => locate(under, before, after))),
  ...byRule,
];

/** The line that a named mutation means. @throws when its code is gone, so that the list follows the code. */
function locate(under: string, before: string, after: string): Mutation {
  const found = files
    .filter((file) => file.startsWith(under))
    .flatMap((file) =>
      readFileSync(join(root, file), "utf8")
        .split("\n")
        .flatMap((text, index) => (text.includes(before) ? [{ file, text, line: index + 1 }] : [])),
    );
  const [first] = found;
  if (first === undefined || found.length > 1) {
    throw new Error(`mutations/named.ts: ${found.length} lines below ${under} have: ${before}`);
  }
  const { file, text, line } = first;
  return { file, line, rule: "named", before: text, after: text.replace(before, () => after) };
}

/** What starts the program once more reaches all of it. */
function withStarted(reached: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const start = reached.get("src/base/self-command.ts");
  return start === undefined
    ? reached
    : new Map([...[...MAIN].map(([file, distance]) => [file, start + distance + 1] as const), ...reached]);
}

function isEquivalent({ file, before, after }: Mutation): boolean {
  return EQUIVALENT.some(
    (each) => each.file === file && each.before === before.trim() && each.after === after.trim(),
  );
}

/** The file's own tests first, then those that import it, of its own folders before others, then slow ones that are near. */
function testsFor(file: string): readonly string[] {
  const stem = file.replace(/\.ts$/, "");
  const near = tests
    .flatMap((test) => {
      const distance = test.startsWith(`${stem}.`) ? 0 : distances.get(test)?.get(file);
      return distance === undefined ? [] : [{ test, distance }];
    })
    .sort(
      (a, b) =>
        Math.sign(a.distance) - Math.sign(b.distance) ||
        sharedFolders(b.test, file) - sharedFolders(a.test, file) ||
        a.distance - b.distance ||
        (a.test < b.test ? -1 : 1),
    );
  const isSlow = ({ test }: (typeof near)[number]): boolean => SLOW.test(test);
  return [
    ...near.filter((each) => !isSlow(each)).slice(0, MAX_TESTS),
    ...near.filter((each) => isSlow(each) && each.distance <= SLOW_DISTANCE),
  ].map(({ test }) => test);
}

function sharedFolders(test: string, file: string): number {
  const folders = test.split("/").slice(0, -1);
  const others = file.split("/");
  const apart = folders.findIndex((name, index) => name !== others[index]);
  return apart === -1 ? folders.length : apart;
}

function makeCopy(directory: string): void {
  const { stdout } = spawnSync("git", ["ls-files", "-co", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  for (const file of stdout.split("\n").filter(Boolean)) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    cpSync(join(root, file), join(directory, file), { force: true });
  }
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
}

async function isSeen(directory: string, asked: readonly string[]): Promise<boolean> {
  const chosen = asked.filter((test) => !leftOut.has(test));
  return chosen.length > 0 && (await testsFail(directory, chosen));
}

/** A test that fails without a mutation would see every one: it is left out, and the run fails at its end. */
async function checkBaseline(directory: string, job: number): Promise<void> {
  const mine = mutations.filter((_, index) => index % Number(values.jobs) === job);
  for (const test of new Set([
    ...(values.quick ? [] : OF_THE_WHOLE),
    ...mine.flatMap(({ file }) => testsFor(file)),
  ])) {
    if (!leftOut.has(test) && (await isSeen(directory, [test]))) {
      console.log(`left out: ${test} fails without a mutation`);
      leftOut.add(test);
    }
  }
}

async function outcomeOf(directory: string, mutation: Mutation): Promise<Outcome> {
  if (isEquivalent(mutation)) {
    return "equivalent";
  }
  const chosen = testsFor(mutation.file);
  const path = join(directory, mutation.file);
  const source = readFileSync(path, "utf8");
  writeFileSync(
    path,
    source
      .split("\n")
      .with(mutation.line - 1, mutation.after)
      .join("\n"),
  );
  try {
    // The nearest few see most of them.
    const seen =
      (await isSeen(directory, chosen.slice(0, NEAREST))) ||
      (await isSeen(directory, chosen.slice(NEAREST))) ||
      (!values.quick && MAIN.has(mutation.file) && (await isSeen(directory, OF_THE_WHOLE)));
    return seen ? "killed" : "survived";
  } finally {
    writeFileSync(path, source);
  }
}

const leftOut = new Set<string>();
if (values.list) {
  for (const { file, line, rule, before, after } of mutations) {
    console.log(`${file}:${line} ${rule}\n- ${before.trim()}\n+ ${after.trim()}`);
  }
  console.log(`${mutations.length} mutations`);
  process.exit(0);
}

const work = mkdtempSync(join(tmpdir(), "mutations-"));
// Tests start the sources as other users too.
chmodSync(work, 0o755);
const until = performance.now() + Number(values.minutes) * 60_000;
const queue = [...mutations];
const results: Result[] = [];
try {
  await Promise.all(
    Array.from({ length: Number(values.jobs) }, async (_, job) => {
      const directory = join(work, String(job));
      makeCopy(directory);
      await checkBaseline(directory, job);
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const outcome = performance.now() > until ? "not_run" : await outcomeOf(directory, next);
        results.push({ mutation: next, outcome });
        if (outcome === "survived") {
          console.log(
            `survived: ${next.file}:${next.line} (${next.rule})\n  - ${next.before.trim()}\n  + ${next.after.trim()}`,
          );
        }
        if (results.length % 25 === 0) {
          console.log(`${results.length} of ${mutations.length}`);
        }
      }
    }),
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
const { killed, survived, equivalent, notRun, percent } = score(results);
console.log(
  `${killed} killed, ${survived} survived, ${equivalent} equivalent, ${notRun} not run: ${percent.toFixed(1)}% (floor ${FLOOR_PERCENT}%)`,
);
if (values.write) {
  writeFileSync(
    join(root, "docs", "mutations.md"),
    mutationPage(results, { groupOf, floor: FLOOR_PERCENT, isQuick: values.quick }),
  );
}
process.exitCode = percent < FLOOR_PERCENT || notRun > 0 || leftOut.size > 0 ? 1 : 0;
