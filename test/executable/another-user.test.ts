/** The compiled executable starts itself as another user: what root's commands leave to the owner of the state directory. */
import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeChange } from "../../src/commands/change-registry.ts";
import { identityHashes } from "../../src/key/identity/fingerprint.ts";
import { testFirstContent, testIdentity } from "../fakes/registry-fixture.ts";
import { builtExecutable } from "../harness/executable.ts";

const UID = 47_170;

describe.skipIf(process.getuid?.() !== 0)("as another user", () => {
  const directory = mkdtempSync(join(tmpdir(), "another-user-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  chmodSync(directory, 0o755);
  mkdirSync(join(directory, "state"), { mode: 0o750 });
  chownSync(join(directory, "state"), UID, UID);
  const run = (args: readonly string[], input = "") => {
    const { status, stdout } = spawnSync(builtExecutable(), args, {
      input,
      encoding: "utf8",
      env: {},
      cwd: "/",
    });
    return { status, stdout };
  };

  test("it writes the registry, as that user and never as root", () => {
    const statePath = join(directory, "state", "key-registry.json");
    const input = encodeChange({
      statePath,
      identity: identityHashes(testIdentity),
      base: undefined,
      content: testFirstContent,
    });
    expect(run(["write-registry"], input)).toEqual({ status: 2, stdout: "" });
    const { status, stdout } = run(["as-user", `${UID}:${UID}:`, "write-registry"], input);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ ok: true, hash: expect.any(String) });
    expect(statSync(statePath)).toMatchObject({ uid: UID, gid: UID, mode: 0o100600 });
  });

  test("it runs a command, and starts itself without Bun's arguments", () => {
    expect(run(["as-user", `${UID}:${UID}:${UID},5`, "version"])).toMatchObject({ status: 0 });
    expect(run(["as-user", "root", "version"])).toEqual({ status: 2, stdout: "" });
    expect(run(["as-user", `${UID}:${UID}:`, "as-user", "0:0:", "version"])).toEqual({
      status: 1,
      stdout: "",
    });
  });
});
