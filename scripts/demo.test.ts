/**
 * The demo's arguments, and what it does with an installed `bao` that does not start.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { makeJwtIssuer } from "../test/fakes/openbao/jwt-issuer.ts";
import { startDemoOpenBao } from "./demo/openbao.ts";

const demo = (argument: string) =>
  spawnSync(process.execPath, ["scripts/demo.ts", argument], {
    cwd: dirname(import.meta.dir),
    encoding: "utf8",
  });

describe("arguments", () => {
  test.each(["--help", "-h"])("%s prints help and starts nothing", (option) => {
    const { status, stdout, stderr } = demo(option);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toStartWith("Usage: npm run demo");
    expect(stdout).toContain("--cluster");
  });
  test.each(["--clutser", "cluster", "--cluster=yes"])("%s is one line, not a stack trace", (argument) => {
    const { status, stdout, stderr } = demo(argument);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toStartWith("demo: ");
    expect(stderr).not.toContain("    at ");
  });
});

describe("an installed bao", () => {
  const own = mkdtempSync(join(tmpdir(), "demo-bao-"));
  afterAll(() => rmSync(own, { recursive: true, force: true }));
  const bao = (name: string, script: string, mode = 0o755): string => {
    const path = join(own, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`);
    chmodSync(path, mode);
    return path;
  };
  const chosen = async (binary: string | undefined): Promise<string> => {
    const { openbao, names, choice } = await startDemoOpenBao(binary, makeJwtIssuer());
    const { status } = await openbao.operator.call("GET", `${names.mount}/keys/${names.keyName}`);
    expect(status).toBe(200);
    await openbao.dispose();
    return choice;
  };

  test("that gives up is named with its version and reason; the stand-in takes its place", async () => {
    const log = "2026-11-28T04:15:43.877Z [INFO]  proxy environment";
    const path = bao(
      "gives-up",
      `[ "$1" = version ] && echo "OpenBao v9.8.7 (0123), built today" && exit 0
       printf 'unknown storage type raft' >&2; echo '${log}' >&2; exit 1`,
    );
    expect(await chosen(path)).toBe(
      `OpenBao: the stand-in of this repository, because ${path} (OpenBao v9.8.7) does not start: OpenBao answers: it has exited: unknown storage type raft`,
    );
  });
  test.each([
    ["that cannot be executed", () => bao("no-mode", "exit 0", 0o644)],
    ["that is another program", () => bao("other", "exit 0")],
    ["whose file is a folder", () => own],
  ])("%s costs a line only", async (_, path) => {
    expect(await chosen(path())).toContain(`${path()} (its version is unknown) does not start: `);
  });
  test("that is absent is said to be absent", async () => {
    expect(await chosen(undefined)).toContain("there is no `bao` on PATH");
  });
  test("leaves no temporary directory of a failed start", async () => {
    const directory = process.env["TMPDIR"];
    const empty = mkdtempSync(join(own, "empty-"));
    process.env["TMPDIR"] = empty;
    await chosen(bao("fails", "exit 3")).finally(() => {
      process.env["TMPDIR"] = directory ?? "/tmp";
    });
    expect(readdirSync(empty)).toEqual([]);
  });
});
