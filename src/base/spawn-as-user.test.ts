import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { HIDDEN, selfCommand } from "./self-command.ts";
import { runAs } from "./spawn-as-user.ts";

const isRoot = process.geteuid?.() === 0;
const never = new AbortController().signal;
const SERVICE = { uid: 47_110, gid: 47_111, groups: [47_112, 47_113] };
const run = (args: readonly string[], change: Partial<Parameters<typeof runAs>[0]> = {}) =>
  runAs({ identity: SERVICE, args, input: "", maxBytes: 1 << 20, signal: never, ...change });

/** The process whose command line has the word, as soon as there is one. */
async function childWith(word: string): Promise<number> {
  for (let tries = 0; tries < 1000; tries += 1) {
    for (const name of readdirSync("/proc").filter((each) => /^\d+$/.test(each))) {
      try {
        if (readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0").includes(word)) {
          return Number(name);
        }
      } catch {
        // It has ended.
      }
    }
    await Bun.sleep(5);
  }
  throw new Error("the child did not start");
}

describe("this program, started once more", () => {
  test("is the executable alone when it is compiled, and Bun with the source when it is not", () => {
    expect(selfCommand(["x"], "/usr/bin/bao-kms-provider", "/$bunfs/root/main")).toEqual([
      "/usr/bin/bao-kms-provider",
      "x",
    ]);
    expect(selfCommand(["x"], "/usr/bin/bun", "/src/main.ts")).toEqual([
      "/usr/bin/bun",
      join(import.meta.dir, "..", "main.ts"),
      "x",
    ]);
  });
});

describe.skipIf(!isRoot)("as another user", () => {
  test("a command runs and its exit code and output come back", async () => {
    const { code, stdout } = await run(["version"]);
    expect(code).toBe(0);
    expect(stdout).toContain("bao-kms-provider");
    expect((await run(["no-such-command"])).code).toBe(2);
  });

  test("it has that user's identity, a session of its own, three pipes and no environment", async () => {
    const secret = openSync("/etc/shadow", "r");
    const stop = new AbortController();
    const args = ["probe", "--socket", `/nonexistent-${process.pid}`, "--wait-socket", "60s"];
    const waits = run(args, { signal: stop.signal }).catch(() => "stopped");
    const pid = await childWith(`/nonexistent-${process.pid}`);
    const text = (name: string): string => readFileSync(`/proc/${pid}/${name}`, "utf8");
    const field = (name: string): string =>
      (new RegExp(`^${name}:\\s*(.*)$`, "m").exec(text("status"))?.[1] ?? "").trim();
    for (let tries = 0; tries < 400 && field("CapEff") !== "0000000000000000"; tries += 1) {
      await Bun.sleep(5);
    }
    expect(["Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapAmb"].map(field)).toEqual([
      Array(4).fill(SERVICE.uid).join("\t"),
      Array(4).fill(SERVICE.gid).join("\t"),
      SERVICE.groups.join(" "),
      "0000000000000000",
      "0000000000000000",
      "0000000000000000",
    ]);
    const [, , , session, terminal] = text("stat")
      .replace(/^.*\) /, "")
      .split(" ");
    expect([session, terminal]).toEqual([String(pid), "0"]);
    expect(text("environ")).toBe("");
    const opened = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
      } catch {
        return [];
      }
    });
    expect(opened.length).toBeGreaterThanOrEqual(3);
    expect(opened).not.toContain("/etc/shadow");
    expect(opened.filter((each) => each.startsWith("/dev/pts") || each.startsWith("/dev/tty"))).toEqual([]);
    stop.abort();
    expect(await waits).toBe("stopped");
    closeSync(secret);
  });

  test("root cannot be taken back, and a text that is no identity ends it", async () => {
    expect((await run([HIDDEN.asUser, "0:0:", "version"])).code).toBe(1);
    expect((await run(["version"], { identity: { uid: 0, gid: 0, groups: [] } })).code).toBe(0);
    expect((await run([HIDDEN.asUser, "nonsense", "version"])).code).toBe(2);
  });

  test("too much output and an abort end it", async () => {
    const { stdout } = await run(["--help"], { maxBytes: 10 });
    expect(stdout).toBe("");
    const stop = new AbortController();
    const waits = run(["probe", "--socket", "/nonexistent", "--wait-socket", "60s"], { signal: stop.signal });
    setTimeout(() => stop.abort(), 50);
    await expect(waits).rejects.toThrow("abort");
    await expect(run(["version"], { signal: AbortSignal.abort() })).rejects.toThrow("abort");
  });
});
