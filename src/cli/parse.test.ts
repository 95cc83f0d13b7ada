import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { COMMANDS } from "../commands/table.ts";
import type { Command } from "./command.ts";
import { parseCommandLine } from "./parse.ts";

const bare = {
  summary: "does it",
  description: [],
  examples: ["x"],
  run: async (): Promise<"good"> => "good",
} as const;
const commands: readonly Command[] = [
  {
    ...bare,
    name: "one",
    options: {
      text: { kind: "text", placeholder: "T", description: "" },
      list: { kind: "list", placeholder: "L", description: "" },
      flag: { kind: "flag", description: "" },
      switch: { kind: "switch", description: "" },
      count: { kind: "count", placeholder: "N", min: 2, max: 4, description: "" },
    },
  },
  { ...bare, name: "one two", options: {} },
  { ...bare, name: "group first", options: {} },
  { ...bare, name: "group second", options: {} },
  {
    ...bare,
    name: "shell",
    argument: { name: "SHELL", description: "", choices: ["bash", "zsh"] },
    options: {},
  },
  { ...bare, name: "version", options: {} },
];
const parse = (line: string) => parseCommandLine(line.split(" ").filter(Boolean), commands);
const none = { text: undefined, list: [], flag: false, switch: true, count: undefined };
const run = (line: string) => {
  const parsed = parse(line);
  return parsed.kind === "run"
    ? { name: parsed.command.name, values: parsed.values, argument: parsed.argument }
    : parsed;
};

describe("values of a list", () => {
  test.each([
    ["one --list a b c", ["a", "b", "c"]],
    ["one --list=a b", ["a", "b"]],
    ["one --list a --list b c", ["a", "b", "c"]],
    ["one --list a b --flag --list c", ["a", "b", "c"]],
  ])("%s", (line, list) => {
    expect(parse(line)).toMatchObject({ kind: "run", values: { list } });
  });

  test.each([
    "one --list a --flag b",
    "one --text a b",
    "one b --list a",
    "one --list a -- b",
    "one --switch false true",
  ])("%s has a word too many", (line) => {
    expect(parse(line).kind).not.toBe("run");
  });
});

describe("a command with its values", () => {
  test.each([
    ["one", none],
    ["one --text a", { ...none, text: "a" }],
    ["one --text=a=b", { ...none, text: "a=b" }],
    ["one --text --flag", { ...none, text: "--flag" }],
    ["one --text --help", { ...none, text: "--help" }],
    ["one --text a --text b", { ...none, text: "b" }],
    ["one --list a --list=b --list a", { ...none, list: ["a", "b", "a"] }],
    ["one --flag --count 4", { ...none, flag: true, count: 4 }],
    ["one --switch", none],
    ["one --switch=false", { ...none, switch: false }],
    ["one --switch false", { ...none, switch: false }],
    ["one --switch true --flag", { ...none, flag: true }],
    ["one --", none],
  ])("%s", (line, values) => {
    expect(run(line)).toEqual({ name: "one", values, argument: undefined });
  });

  test.each([
    ["one two", "one two"],
    ["group second", "group second"],
    ["--version", "version"],
    ["-V", "version"],
    ["-v", "version"],
  ])("%s is %s", (line, name) => {
    expect(run(line)).toEqual({ name, values: {}, argument: undefined });
  });

  test("with its argument", () => {
    expect(run("shell zsh")).toEqual({ name: "shell", values: {}, argument: "zsh" });
    expect(run("shell -- bash")).toEqual({ name: "shell", values: {}, argument: "bash" });
  });
});

describe("help", () => {
  test.each(["--help", "-h", "help"])("%s is the overview", (line) => {
    const parsed = parse(line);
    expect(parsed.kind === "help" && parsed.text).toContain("group second");
    expect(parsed.kind === "help" && parsed.text).toContain("shell");
  });

  test.each(["group --help", "group -h", "help group"])("%s is that of the group", (line) => {
    const parsed = parse(line);
    expect(parsed.kind === "help" && parsed.text).toContain("group second");
    expect(parsed.kind === "help" && parsed.text).not.toContain("shell");
  });

  test.each(["one --help", "one -h", "one --flag --nonsense --help", "help one"])("%s", (line) => {
    const parsed = parse(line);
    expect(parsed.kind === "help" && parsed.text).toStartWith("Usage: bao-kms-provider one [OPTIONS]");
  });
});

describe("what is refused", () => {
  const see = (where: string) => `\n  see: bao-kms-provider${where} --help`;
  test.each([
    ["oen", "error: unknown command 'oen'\n(Did you mean one?)", ""],
    ["nothinglikeit", "error: unknown command 'nothinglikeit'", ""],
    ["--verison", "error: unknown option '--verison'\n(Did you mean --version?)", ""],
    ["-x", "error: unknown option '-x'", ""],
    ["group frist", "error: unknown command 'frist'\n(Did you mean first?)", " group"],
    ["one tow", "error: unknown command 'tow'\n(Did you mean two?)", " one"],
    ["one two extra", "error: too many arguments for 'one two': extra", " one two"],
    ["one --txet a", "error: unknown option '--txet'\n(Did you mean --text?)", " one"],
    ["one --hlep", "error: unknown option '--hlep'\n(Did you mean --help?)", " one"],
    ["one -t", "error: unknown option '-t'", " one"],
    ["one --no-flag", "error: unknown option '--no-flag'", " one"],
    ["one --__proto__=1", "error: unknown option '--__proto__'", " one"],
    ["one --text", "error: option '--text <T>' needs a value", " one"],
    ["one --text=", "error: option '--text' must not be empty", " one"],
    ["one --flag=true", "error: option '--flag' takes no value", " one"],
    ["one --switch=maybe", "error: option '--switch' must be true or false", " one"],
    ["one --switch maybe", "error: unknown command 'maybe'", " one"],
    ["one --switch=true false", "error: unknown command 'false'", " one"],
    ["one --switch --flag false", "error: unknown command 'false'", " one"],
    ["one --count 5", "error: option '--count' must be a whole number from 2 to 4", " one"],
    ["one --count 1", "error: option '--count' must be a whole number from 2 to 4", " one"],
    ["shell", "error: SHELL must be one of bash, zsh", " shell"],
    ["shell csh", "error: SHELL must be one of bash, zsh", " shell"],
    ["shell bash zsh", "error: too many arguments for 'shell': zsh", " shell"],
  ])("%s", (line, text, where) => {
    expect(parse(line)).toEqual({ kind: "refused", text: text + see(where) });
  });

  test("nothing, and a group alone, with what there is", () => {
    const nothing = parse("");
    expect(nothing.kind === "refused" && nothing.text).toContain("shell");
    const group = parse("group");
    expect(group.kind === "refused" && group.text).toContain("group first");
    expect(group.kind === "refused" && group.text).not.toContain("shell");
  });
});

test("any words come to a command, help or a refusal", () => {
  const word = fc.oneof(
    fc.string(),
    fc.constantFrom(
      ...COMMANDS.flatMap(({ name, options }) => [...name.split(" "), ...Object.keys(options)]),
    ),
    fc.constantFrom(...COMMANDS.flatMap(({ options }) => Object.keys(options).map((each) => `--${each}`))),
    fc.constantFrom("--", "-", "--help", "=", "--=", "--output=json"),
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 8 }), (words) => {
      expect(["run", "help", "refused"]).toContain(parseCommandLine(words, COMMANDS).kind);
    }),
    { numRuns: 500 },
  );
});
