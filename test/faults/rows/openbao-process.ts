/** OpenBao's own process and data. */

import { spawn } from "node:child_process";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ANY, type Fault, OUT } from "../fault.ts";
import { run } from "../world.ts";

const MINUTES_MS = 120_000;

export const openbaoProcess: readonly Fault[] = [
  {
    id: "openbao-killed",
    title: "Killed with SIGKILL, and started after a while",
    expect: { ...OUT, refusal: { code: "UNAVAILABLE", withinMs: 500 } },
    lastsMs: 10_000,
    cause: async ({ openbao }) => {
      await openbao.kill();
      return () => openbao.start();
    },
  },
  {
    id: "openbao-restarted",
    title: "Restarted with SIGTERM, at once",
    expect: ANY,
    cause: async ({ openbao }) => {
      await openbao.stop();
      await openbao.start();
    },
  },
  {
    id: "openbao-stopped",
    title: "Stopped with SIGSTOP, and continued",
    expect: OUT,
    lastsMs: MINUTES_MS,
    cause: ({ openbao }) => {
      openbao.pause();
      return openbao.resume;
    },
  },
  {
    id: "openbao-sealed",
    title: "Sealed, and unsealed",
    expect: { ...OUT, healthz: "openbao_sealed", refusal: { code: "UNAVAILABLE", withinMs: 3500 } },
    lastsMs: 10_000,
    cause: async ({ openbao }) => {
      await openbao.seal();
      return openbao.unseal;
    },
  },
  {
    id: "openbao-upgraded",
    title:
      "Restarted over the data directory of a minute ago, as after a failed upgrade; nothing happened to the key since",
    expect: ANY,
    cause: ({ backUp }) => backUp()(),
  },
  {
    id: "openbao-older-data",
    title: "A data directory from before the last rotation restored; then the newer one again",
    expect: { status: "error", encrypt: "refused", decrypt: "any", keyId: "moves" },
    cause: async (world) => {
      const restoreOlder = world.backUp();
      await (await world.rotate())();
      await Bun.sleep(300);
      const restoreNewer = world.backUp();
      await restoreOlder();
      return restoreNewer;
    },
  },
  {
    id: "openbao-audit-blocked",
    title: "Its only audit device blocks (a FIFO that no process reads), and is put back",
    expect: OUT,
    cause: (world) => {
      const log = join(world.openbaoDir(), "audit.log");
      const aside = `${log}.aside`;
      renameSync(log, aside);
      run("mkfifo", "-m", "600", log);
      const pid = world.openbao.pid();
      process.kill(pid, "SIGHUP");
      return async () => {
        // A short read releases what waits in open(2); then the file is a regular file again.
        const reader = spawn("cat", [log], { stdio: "ignore" });
        await Bun.sleep(200);
        renameSync(log, `${log}.fifo`);
        renameSync(aside, log);
        process.kill(pid, "SIGHUP");
        await Bun.sleep(300);
        reader.kill("SIGKILL");
        writeFileSync(`${log}.done`, "");
      };
    },
  },
];
