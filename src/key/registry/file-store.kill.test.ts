/** The store on real files, with a writer that is killed by SIGKILL before each of its file operations in turn. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { testFirstContent } from "../../../test/fakes/registry-fixture.ts";
import { type RegistryOnDisk, registryOnDisk } from "../../../test/fakes/registry-on-disk.ts";

const never = new AbortController().signal;
let disk: RegistryOnDisk;
beforeEach(() => {
  disk = registryOnDisk();
});
afterEach(() => disk.remove());

describe("a killed writer", () => {
  const run = async (killBefore: number): Promise<readonly string[]> => {
    const script = join(import.meta.dir, "..", "..", "..", "test", "fakes", "registry-writer.ts");
    const child = Bun.spawn([process.execPath, script, disk.path, String(killBefore)], { stderr: "inherit" });
    const output = await new Response(child.stdout).text();
    await child.exited;
    return output.trim().split("\n");
  };

  test("leaves the old or the new state, wherever SIGKILL meets it", async () => {
    const operations = Number((await run(-1)).at(-1)?.split(" ")[1]);
    expect(operations).toBeGreaterThan(40);
    for (let at = 0; at < operations; at += 1) {
      rmSync(disk.directory, { recursive: true });
      mkdirSync(disk.directory, { mode: 0o750 });
      const acknowledged = Number((await run(at)).at(-1) ?? 0);
      const state = await disk.open().load();
      const generation = state.kind === "found" ? state.stored.record.generation : 0;
      expect([acknowledged, acknowledged + 1], `operation ${at}`).toContain(generation);
      const base = state.kind === "found" ? state.stored : undefined;
      const { stored } = await disk.open().commit(base, base?.record ?? testFirstContent, never);
      expect(stored.record.generation).toBe(generation + 1);
    }
  }, 60_000);
});
