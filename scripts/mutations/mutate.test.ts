import { describe, expect, test } from "bun:test";
import { type Mutation, mutationsOf, sample } from "./mutate.ts";
import { mutationPage, score } from "./page.ts";

const SOURCE = `import type { A } from "./a.ts";
/** a === b && c */
export interface B { readonly c: A }
const MAX_THINGS = 16;
export function f(a: number, b: boolean): number {
  if (a === 1 && b) {
    throw new Error("a && b");
  }
  run(a);
  return a < MAX_THINGS ? a + 1 : 0o640;
}
`;

describe("mutations of a source", () => {
  const found = mutationsOf("src/x/f.ts", SOURCE);
  const lines = found.map(({ line, rule }) => `${line} ${rule}`);

  test("each changes one line of code by one rule; text, comments and types are left alone", () => {
    expect(lines).toEqual([
      "4 bound",
      "6 equality",
      "6 and",
      "6 guard",
      "7 throw",
      "9 statement",
      "10 less, by one",
      "10 plus",
      "10 permission bits",
    ]);
  });

  test("what comes of the line", () => {
    const after = (rule: string) => found.find((each) => each.rule === rule)?.after.trim();
    expect(after("bound")).toBe("const MAX_THINGS = 17;");
    expect(after("and")).toBe("if (a === 1 || b) {");
    expect(after("guard")).toBe("if (false) {");
    expect(after("statement")).toBe(";");
    expect(after("permission bits")).toBe("return a < MAX_THINGS ? a + 1 : 0o642;");
  });

  test("a listener's once and root's own number are left alone", () => {
    const source = `signal.on("abort", stop, { once: true });\nexport const uid = process.geteuid?.() ?? 0;\n`;
    expect(mutationsOf("src/x.ts", source).map(({ rule }) => rule)).toEqual([]);
  });
});

const mutation = (file: string, before: string): Mutation => ({
  file,
  line: 1,
  rule: "r",
  before,
  after: "",
});

test("a choice is the same for the same seed, and takes from every folder", () => {
  const all = Array.from({ length: 100 }, (_, index) =>
    mutation(index < 95 ? "src/a/x.ts" : "src/b/y.ts", String(index)),
  );
  const choose = (seed: string) => sample(all, { count: 10, seed, groupOf: (file) => file.slice(0, 5) });
  expect(choose("1")).toEqual(choose("1"));
  expect(choose("1")).not.toEqual(choose("2"));
  expect(choose("1").filter(({ file }) => file === "src/b/y.ts")).toHaveLength(1);
  expect(choose("1").length).toBe(11);
  // Other lines of the file do not change which are chosen.
  const reversed = sample(all.toReversed(), { count: 10, seed: "1", groupOf: (file) => file.slice(0, 5) });
  expect(new Set(reversed)).toEqual(new Set(choose("1")));
});

test("the score counts what was run and changes something", () => {
  const results = (["killed", "killed", "killed", "survived", "equivalent", "not_run"] as const).map(
    (outcome) => ({
      mutation: mutation("src/a/x.ts", "a | b"),
      outcome,
    }),
  );
  expect(score(results)).toEqual({ killed: 3, survived: 1, equivalent: 1, notRun: 1, percent: 75 });
  expect(score([]).percent).toBe(0);
  const page = mutationPage(results, { groupOf: () => "src/a", floor: 95, isQuick: false });
  expect(page).toContain("| `src/a` | 6 | 3 | 1 | 1 | 75% |");
  expect(page).toContain("| `src/a/x.ts:1` | r | `` |");
  expect(mutationPage([], { groupOf: () => "", floor: 95, isQuick: true })).toContain(
    "left out the tests of",
  );
});
