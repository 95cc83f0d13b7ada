/** Root works in a directory whose owner, an unprivileged process, swaps files for links to root's while it does. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testFirstContent, testIdentity } from "../../test/fakes/registry-fixture.ts";
import { LoginRecordError, loginRecord } from "../pkcs11/login-record.ts";
import { systemClock } from "./clock.ts";
import { HIDDEN } from "./self-command.ts";
import { runAs } from "./spawn-as-user.ts";

const SERVICE = { uid: 47_150, gid: 47_151, groups: [] };
const TRIES = 400;

describe.skipIf(process.geteuid?.() !== 0)("with a swapping owner", () => {
  let directory: string;
  const at = (name: string): string => join(directory, name);
  let swapper: Bun.Subprocess;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "race-"));
    chmodSync(directory, 0o755);
    mkdirSync(at("state"), { mode: 0o750 });
    chownSync(at("state"), SERVICE.uid, SERVICE.gid);
    mkdirSync(at("roots"), { mode: 0o755 });
    writeFileSync(at("roots/file"), "root's", { mode: 0o644 });
    const script = `
      const { renameSync, rmSync, symlinkSync, writeFileSync } = require("node:fs");
      const state = ${JSON.stringify(at("state"))}, roots = ${JSON.stringify(at("roots"))};
      const names = ["login.db", "login.db-journal", "key-registry.json.new", "key-registry.json.lock"];
      let stop = false;
      setTimeout(() => process.exit(), 30000);
      console.log("swapping");
      const turn = () => {
        for (let round = 0; round < 50; round += 1) {
          for (const name of names) {
            for (const target of ["file", "new-" + name]) {
              try {
                symlinkSync(roots + "/" + target, state + "/link");
                renameSync(state + "/link", state + "/" + name);
                rmSync(state + "/" + name, { force: true });
              } catch {}
            }
          }
        }
        setImmediate(turn);
      };
      turn();`;
    swapper = Bun.spawn([process.execPath, "-e", script], {
      uid: SERVICE.uid,
      gid: SERVICE.gid,
      cwd: "/",
      env: {},
      stdout: "pipe",
    });
    const { stdout } = swapper;
    if (stdout instanceof ReadableStream) {
      await stdout.getReader().read();
    }
  });
  afterAll(async () => {
    swapper.kill("SIGKILL");
    await swapper.exited;
    rmSync(directory, { recursive: true, force: true });
  });

  const isUntouched = (): void => {
    expect(readdirSync(at("roots"))).toEqual(["file"]);
    expect(readFileSync(at("roots/file"), "utf8")).toBe("root's");
    expect(lstatSync(at("roots/file"))).toMatchObject({ uid: 0, gid: 0, mode: 0o100644 });
    expect(process.geteuid?.()).toBe(0);
  };

  test("the login record touches nothing of root's", async () => {
    const outcomes = new Set<string>();
    for (let tries = 0; tries < TRIES; tries += 1) {
      try {
        const held = await loginRecord(at("state/login.db"), systemClock)(AbortSignal.timeout(20));
        outcomes.add("held");
        try {
          held.write({ state: "refused", pinFile: { inode: "1:2", changedNs: "3", sizeBytes: 4 } });
        } finally {
          held.release();
        }
      } catch (error) {
        outcomes.add(error instanceof LoginRecordError ? error.reason : "waited");
      }
    }
    // The swapper was there, and so was root.
    expect(outcomes).toContain("held");
    expect(outcomes).toContain("unusable");
    isUntouched();
  }, 30_000);

  test("the writer of the registry touches nothing of root's", async () => {
    const { encodeChange } = await import("../commands/change-registry.ts");
    const { identityHashes } = await import("../key/identity/fingerprint.ts");
    const input = encodeChange({
      statePath: at("state/key-registry.json"),
      identity: identityHashes(testIdentity),
      base: undefined,
      content: testFirstContent,
    });
    for (let tries = 0; tries < 3; tries += 1) {
      await runAs({
        identity: SERVICE,
        args: [HIDDEN.writeRegistry],
        input,
        maxBytes: 65_536,
        signal: new AbortController().signal,
      });
      isUntouched();
    }
  }, 30_000);
});
