import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import type { Declaration } from "../../cli/command.ts";
import { COMMANDS } from "../table.ts";
import { completionScript } from "./run.ts";

/** What bash offers at the end of a line. */
function offered(line: string, splitAtEquals = true): readonly string[] {
  // As bash splits a line with its own COMP_WORDBREAKS.
  const words = line.split(" ").flatMap((word) => {
    const [flag = "", value] = splitAtEquals ? word.split("=") : [word];
    return value === undefined ? [flag] : value === "" ? [flag, "="] : [flag, "=", value];
  });
  const script = `${completionScript("bash", COMMANDS)}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}
_bao_kms_provider; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, status } = spawnSync("bash", ["-c", script], { encoding: "utf8" });
  expect(status).toBe(0);
  return stdout.split("\n").filter((word) => word !== "");
}

describe("bash", () => {
  test("commands", () => {
    expect(offered("bao-kms-provider vers")).toEqual(["version"]);
    expect(offered("bao-kms-provider ")).toContain("policy");
  });

  test("second words, flags and values", () => {
    expect(offered("bao-kms-provider policy ")).toContain("openbao");
    expect(offered("bao-kms-provider config sch")).toEqual(["schema"]);
    expect(offered("bao-kms-provider config --o")).toEqual(["--output"]);
    expect(offered("bao-kms-provider policy openbao --inc")).toEqual(["--include-token-renewal"]);
    expect(offered("bao-kms-provider config --output ")).toEqual(["text", "json"]);
    expect(offered("bao-kms-provider completion f")).toEqual(["fish"]);
  });

  test("a value after an equals sign", () => {
    expect(offered("bao-kms-provider config --output=j")).toEqual(["json"]);
    expect(offered("bao-kms-provider config --output=")).toEqual(["text", "json"]);
    expect(offered("bao-kms-provider config --output=j", false)).toEqual(["--output=json"]);
  });

  test("help takes what it can explain", () => {
    expect(offered("bao-kms-provider he")).toEqual(["help"]);
    expect(offered("bao-kms-provider help vers")).toEqual(["version"]);
    expect(offered("bao-kms-provider help ")).toContain("policy");
    expect(offered("bao-kms-provider help config ")).toEqual(["schema"]);
    expect(offered("bao-kms-provider help version ")).toEqual([]);
  });
});

describe.each(["bash", "zsh", "fish"])("%s", (shell) => {
  test("the whole script of a small table", () => {
    const bare = { summary: "does it's [best]: well", description: [], examples: ["x"] } as const;
    const table: readonly Declaration[] = [
      {
        ...bare,
        name: "one",
        options: {
          file: { kind: "text", placeholder: "FILE", description: "a file" },
          name: { kind: "text", placeholder: "NAME", description: "a name" },
          "log-level": { kind: "text", placeholder: "LEVEL", description: "a level" },
          list: { kind: "list", placeholder: "FILE", description: "files" },
          flag: { kind: "flag", description: "a flag" },
          switch: { kind: "switch", description: "a switch" },
          way: { kind: "choice", placeholder: "W", choices: ["a", "b"], default: "a", description: "a way" },
        },
      },
      { ...bare, name: "one two", options: {} },
      { ...bare, name: "group first", options: {} },
      {
        ...bare,
        name: "shell",
        argument: { name: "SHELL", description: "", choices: ["x", "y"] },
        options: {},
      },
    ];
    expect(completionScript(shell, table)).toMatchSnapshot();
  });

  test("knows every command and flag", () => {
    const script = completionScript(shell, COMMANDS);
    for (const { name, options } of COMMANDS) {
      for (const word of [...name.split(" "), ...Object.keys(options)]) {
        expect(script).toContain(word);
      }
    }
  });
});

describe.each(["zsh", "fish"])("%s itself", (shell) => {
  const path = Bun.which(shell);
  if (path === null) {
    console.log(`skipped: ${shell} is not installed`);
  }
  test.skipIf(path === null)("takes the script for well-formed", () => {
    const { status, stderr } = spawnSync(path ?? shell, ["-n", "/dev/stdin"], {
      encoding: "utf8",
      input: completionScript(shell, COMMANDS),
    });
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });
});
