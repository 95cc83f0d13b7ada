import { expect, test } from "bun:test";
import { type Finding, findInMarkdown, findInSource } from "./check-words.ts";

const shown = (findings: readonly Finding[]): readonly string[] =>
  findings.map((each) => `${each.line}: ${each.found}`);
const found = (text: string): readonly string[] => shown(findInMarkdown(text));

test.each([
  ["mend it", "mend"],
  ["It mends itself.", "mends"],
  ["Whoever can connect", "Whoever"],
  ["asked by whomever", "whomever"],
  ["nobody else", "nobody"],
  ["an object lies under a version", "lies under"],
  ["kube-apiserver goes on with its seeds", "goes on"],
  ["and then go on.", "go on"],
  ["the way to OpenBao", "the way to"],
  ["`restore-versions` is the way back", "the way back"],
  ["the process is told", "is told"],
  ["calls under way finish", "under way"],
  ["a version on its way to promotion", "on its way"],
  ["a proxy in the way", "in the way"],
  ["they are held to it", "held to"],
  ["held against the real one", "held against"],
  ["no more than five", "no more than"],
  ["kept for ever", "for ever"],
  ["somebody else's", "somebody"],
  ["anybody can", "anybody"],
  ["nothing of ours in sight", "in sight"],
])("%j", (text, word) => {
  expect(found(text)).toContain(`1: ${word}`);
});

test.each([
  "a gateway, always, by the way, in this way",
  "amend, recommend, commends",
  "`mend` in code",
  "```ts\nconst mend = nobody;\n```",
  "<!-- made by x -->\n| nobody |\n<!-- end -->",
  "an ongoing call; category on; undergo once",
  "forever",
  "connections that are held open",
  "more than five",
  "a file that holds nothing",
  "one way to log in",
])("nothing in %j", (text) => {
  expect(found(text)).toEqual([]);
});

test("the line is that of the text, also after code", () => {
  expect(found("a\n```\nmend\n```\nmend `x`")).toEqual(["5: mend"]);
});

test.each([
  ["// nobody listens", "1: nobody"],
  ["const text = `mend ${source}`;", "1: mend"],
  ["\nreadonly mend: string;", "2: mend"],
  ["/* a\n * whoever */", "2: whoever"],
])("program text is read whole: %j", (text, word) => {
  expect(shown(findInSource(text))).toEqual([word]);
});

test("program text without these words has no finding", () => {
  expect(findInSource("// amend the commend\nconst ongoing = `recommend ${gateway}`;")).toEqual([]);
});
