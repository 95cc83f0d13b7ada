import { describe, expect, test } from "bun:test";
import { recordedOutput } from "../../test/fakes/recorded-output.ts";
import { defineCommand } from "./command.ts";

const declaration = {
  name: "one",
  summary: "does it",
  description: [],
  options: { flag: { kind: "flag", description: "" } },
  examples: ["one"],
} as const;
const context = {
  output: recordedOutput(),
  environment: {},
  callerEnvironment: {},
  signal: new AbortController().signal,
};

describe("a command", () => {
  test("loads what it runs when it runs, and passes on its values and argument", async () => {
    let loads = 0;
    const command = defineCommand(declaration, async () => {
      loads += 1;
      return async ({ flag }, given, argument) =>
        flag && given === context && argument === "word" ? "good" : "internal";
    });
    expect(command).toMatchObject(declaration);
    expect(loads).toBe(0);
    expect(await command.run({ flag: true }, context, "word")).toBe("good");
    expect(loads).toBe(1);
  });

  test("refuses to run when an option was not read", async () => {
    const command = defineCommand(declaration, async () => async () => "good");
    expect(await command.run({ flag: false }, context, undefined)).toBe("good");
    await expect(async () => command.run({}, context, undefined)).toThrow(TypeError);
  });
});
