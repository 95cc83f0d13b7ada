/** The provider's own process. */
import { readdirSync } from "node:fs";
import { runCommand } from "../../harness/command.ts";
import { eventually } from "../../harness/eventually.ts";
import { makeControlGroup } from "../control-group.ts";
import { ANY, type Fault, FINE, GONE, SILENT } from "../fault.ts";
import { run } from "../world.ts";

const MINUTE_MS = 60_000;
const TOO_LITTLE_BYTES = 24 << 20;
const ENOUGH_BYTES = 512 << 20;
const CPU_PERCENT = 10;

const limitFiles = (pid: number, soft: string): void =>
  run("prlimit", "--pid", String(pid), `--nofile=${soft}:`);

export const providerProcess: readonly Fault[] = [
  {
    id: "provider-killed",
    title: "Killed with SIGKILL, and started by its supervisor",
    expect: GONE,
    cause: async ({ provider }) => {
      await provider.kill();
      return () => provider.start();
    },
  },
  {
    id: "provider-killed-in-rotation",
    title: "Killed with SIGKILL four times while a new version is observed and promoted",
    expect: { ...ANY, restarted: true, keyId: "moves" },
    cause: async ({ rotate, provider }) => {
      const promoted = await rotate();
      for (const delayMs of [50, 350, 650, 950]) {
        await Bun.sleep(delayMs);
        await provider.kill();
        await provider.start();
      }
      await promoted();
    },
  },
  {
    id: "provider-terminated",
    title: "Terminated with SIGTERM, and started again",
    expect: GONE,
    cause: async ({ provider }) => {
      await provider.stop();
      return () => provider.start();
    },
  },
  {
    id: "provider-stopped",
    title: "Stopped with SIGSTOP, and continued",
    expect: SILENT,
    lastsMs: 3 * MINUTE_MS,
    shortMs: 1500,
    cause: ({ provider }) => {
      provider.signal("SIGSTOP");
      return () => provider.signal("SIGCONT");
    },
  },
  {
    id: "provider-stopped-in-rotation",
    title: "Stopped with SIGSTOP while the key is rotated, and continued",
    expect: { ...SILENT, keyId: "moves" },
    lastsMs: MINUTE_MS,
    cause: async ({ provider, rotate, load }) => {
      const before = load.keyId();
      provider.signal("SIGSTOP");
      const promoted = await rotate();
      return async () => {
        provider.signal("SIGCONT");
        if ((await provider.client.status()).keyId !== before) {
          throw new Error("a version was promoted that had not been observed");
        }
        await promoted();
      };
    },
  },
  {
    id: "provider-out-of-memory",
    title: "Started with a MemoryMax of 24 MiB: killed by the kernel; then with enough",
    expect: GONE,
    root: true,
    cause: async ({ provider }) => {
      await provider.stop();
      const group = makeControlGroup({ kind: "memory", bytes: TOO_LITTLE_BYTES });
      provider.spawn({ prefix: group.prefix });
      await eventually("the kernel kills it", () => group.kills() > 0 && provider.exited(), {
        timeoutMs: 20_000,
      });
      return async () => {
        group.remove(0);
        await provider.start();
      };
    },
  },
  {
    id: "provider-out-of-memory-at-work",
    title:
      "At work when its MemoryMax is lowered to what it uses: killed by the kernel at the next page; then started again",
    expect: GONE,
    root: true,
    cause: async ({ provider }) => {
      await provider.stop();
      const group = makeControlGroup({ kind: "memory", bytes: ENOUGH_BYTES });
      await provider.start({ prefix: group.prefix });
      await eventually(
        "the kernel kills it",
        () => {
          group.squeeze();
          return group.kills() > 0 && provider.exited();
        },
        { timeoutMs: 20_000, everyMs: 20 },
      );
      return async () => {
        group.remove(0);
        await provider.start();
      };
    },
  },
  {
    id: "provider-out-of-descriptors",
    title: "Out of file descriptors (prlimit), all connections to OpenBao cut; then the limit raised",
    expect: ANY,
    shortMs: 2000,
    lastsMs: 30_000,
    cause: async ({ provider, wire }) => {
      const pid = provider.pid();
      const highest = Math.max(...readdirSync(`/proc/${pid}/fd`).map(Number));
      limitFiles(pid, String(Math.min(highest, 12)));
      await wire.repair();
      return () => limitFiles(pid, "1024");
    },
  },
  {
    id: "provider-starved",
    title: "Starved by a CPU quota of 10 percent of one processor",
    expect: ANY,
    root: true,
    shortMs: 3000,
    lastsMs: MINUTE_MS,
    cause: ({ provider }) => {
      const group = makeControlGroup({ kind: "cpu", percent: CPU_PERCENT });
      group.add(provider.pid());
      return () => group.remove(provider.pid());
    },
  },
  {
    id: "provider-started-twice",
    title: "Started a second time with the same configuration: the second leaves, the first is not disturbed",
    expect: FINE,
    cause: async ({ provider }) => {
      const serve = [provider.executable, "serve", "--config", provider.configPath];
      const second = await runCommand(serve, { env: { PATH: "/usr/bin:/bin" }, timeoutMs: 10_000 });
      if (second.status === 0 || !second.stdout.includes('"code":"instance_running"')) {
        throw new Error(`the second instance ended with ${second.status}: ${second.stdout}`);
      }
    },
  },
];
