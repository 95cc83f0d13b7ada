/** The store on real files, with a writer that is killed by SIGKILL before each of its file operations in turn. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testFirstContent, testIdentity } from "../../test/fakes/registry-fixture.ts";
import { systemClock } from "../base/clock.ts";
import { identityHashes } from "../identity/fingerprint.ts";
import { openRegistryStore, type RegistryStore } from "./file-store.ts";
import { systemStateFiles } from "./state-files.ts";
import { trySqliteLock } from "./writer-lock.ts";

const never = new AbortController().signal;
let directory = "";
let path = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "registry-kill-"));
  path = join(directory, "key-registry.json");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function open(): RegistryStore {
  return openRegistryStore({
    statePath: path,
    identity: identityHashes(testIdentity),
    access: "write",
    euid: process.geteuid?.() ?? 0,
    files: systemStateFiles,
    tryLock: trySqliteLock,
    clock: systemClock,
    lockWaitMs: 60,
  });
}

describe("a killed writer", () => {
  const run = async (killBefore: number): Promise<readonly string[]> => {
    const script = join(import.meta.dir, "..", "..", "test", "fakes", "registry-writer.ts");
    const child = Bun.spawn([process.execPath, script, path, String(killBefore)], { stderr: "inherit" });
    const output = await new Response(child.stdout).text();
    await child.exited;
    return output.trim().split("\n");
  };

  test("leaves the old or the new state, wherever SIGKILL meets it", async () => {
    const operations = Number((await run(-1)).at(-1)?.split(" ")[1]);
    expect(operations).toBeGreaterThan(40);
    for (let at = 0; at < operations; at += 1) {
      rmSync(directory, { recursive: true });
      mkdirSync(directory, { mode: 0o750 });
      const acknowledged = Number((await run(at)).at(-1) ?? 0);
      const state = await open().load();
      const generation = state.kind === "found" ? state.stored.record.generation : 0;
      expect([acknowledged, acknowledged + 1], `operation ${at}`).toContain(generation);
      const base = state.kind === "found" ? state.stored : undefined;
      const { stored } = await open().commit(base, base?.record ?? testFirstContent, never);
      expect(stored.record.generation).toBe(generation + 1);
    }
  }, 60_000);
});
