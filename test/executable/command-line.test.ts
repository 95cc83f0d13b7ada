/**
 * The compiled executable at the ends of a command: a reader that leaves, Ctrl-C, exit codes.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { makeNodeFiles, type NodeFiles } from "../fakes/node-files.ts";
import { faults } from "../fakes/openbao/faults.ts";
import { builtExecutable } from "../real/harness/executable.ts";

const executable = builtExecutable();
const env = { PATH: "/usr/bin:/bin" };

let node: NodeFiles;
beforeAll(async () => {
  node = await makeNodeFiles();
});
afterAll(() => node.dispose());

test("a reader that leaves early is no failure and no noise", () => {
  const { stdout, stderr } = spawnSync(
    "/bin/sh",
    ["-c", `'${executable}' config schema | head -n 1; '${executable}' --help | true`],
    { encoding: "utf8", env },
  );
  expect(stdout).toBe("{\n");
  expect(stderr).toBe("");
});

test("a whole large report arrives through a pipe", () => {
  const { stdout, status } = spawnSync(executable, ["config", "schema"], { encoding: "utf8", env });
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ type: "object" });
});

describe("exit codes", () => {
  test.each([
    [["version"], 0],
    [["vresion"], 2],
    [["config"], 3],
    [["config", "--config", "/nowhere"], 3],
    [["probe", "--socket", "/nowhere/kms.sock"], 4],
  ] as const)("%p is %d", (words, code) => {
    expect(spawnSync(executable, words, { encoding: "utf8", env }).status).toBe(code);
  });

  test.each(["SIGINT", "SIGTERM"] as const)(
    "%s during a command is 5, with nothing left behind",
    async (signal) => {
      const mend = node.openbao.inject(faults.hang);
      const child = Bun.spawn([executable, "doctor", "--config", node.configPath], {
        env,
        stdout: "pipe",
        stderr: "pipe",
      });
      const reader = child.stdout.getReader();
      let seen = "";
      while (!seen.includes("kubernetes.encryption_config")) {
        const { value, done } = await reader.read();
        if (done) {
          break;
        }
        seen += new TextDecoder().decode(value);
      }
      child.kill(signal);
      expect(await child.exited).toBe(5);
      expect(await new Response(child.stderr).text()).toBe("interrupted\n");
      mend();
    },
  );
});
