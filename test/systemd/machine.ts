/**
 * @module A Debian machine with a real systemd, for one suite. Drives the script `machine` beside it. What is installed in it:
 * `provider-machine.ts`.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { startChild } from "../harness/child.ts";
import { type CommandResult, runCommand } from "../harness/command.ts";

const script = join(import.meta.dir, "machine");
/** The Debian release: MACHINE_SUITE=trixie tests on another one than usual. */
const suite = process.env["MACHINE_SUITE"] ?? "bookworm";
/** Its root is kept between runs, as making it takes most of a minute; another script makes another one. */
const base = `/var/tmp/bao-kms-provider-test/${suite}-${Bun.hash(readFileSync(script)).toString(36)}`;

const run = (...args: readonly string[]): Promise<CommandResult> =>
  runCommand([script, ...args], { env: { ...process.env, SUITE: suite } });

async function must(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await run(...args);
  if (status !== 0) {
    throw new Error(`${args.join(" ")} ended with ${status}:\n${stdout}${stderr}`);
  }
  return stdout.trim();
}

export type Machine = Awaited<ReturnType<typeof newMachine>>;

/** A fresh machine, powered off; `boot` starts it. A node has its own network, and kubelet can run in it. */
export async function newMachine(kind: "new" | "node" = "new") {
  mkdirSync(dirname(base), { recursive: true });
  chmodSync(dirname(base), 0o700);
  await must("base", base);
  const dir = mkdtempSync(join(tmpdir(), "kms-machine-"));
  await must(kind, dir, base);
  const inside = (...command: readonly string[]): readonly string[] => ["exec", dir, ...command];
  const leader = (): string => readFileSync(join(dir, "leader"), "utf8").trim();
  const path = (name: string): string => join(`/proc/${leader()}/root`, name);
  return {
    /** A shell script inside, as root. */
    sh: (text: string) => run(...inside("sh", "-c", text)),
    /** The same, which must succeed; returns its output, trimmed. */
    must: (text: string) => must(...inside("sh", "-ec", text)),
    /** The same as another user, with that user's own groups. */
    as: (user: string, text: string) => run(...inside("runuser", "-u", user, "--", "sh", "-c", text)),
    /** A path inside, seen from outside. */
    path,
    /** Process id of its systemd, seen from outside. */
    leader,
    /** A folder that has the same path inside and outside. */
    shared: join(dir, "shared"),
    /** A command outside, in a node's network. */
    net: (...command: readonly string[]) => startChild(script, ["net", dir, ...command], { cwd: dir }),
    put: (name: string, content: string | Uint8Array, mode = 0o644): void => {
      mkdirSync(dirname(path(name)), { recursive: true });
      writeFileSync(path(name), content);
      chmodSync(path(name), mode);
    },
    boot: async () => {
      await must("up", dir);
    },
    powerOff: async () => {
      await must("down", dir);
    },
    remove: async () => {
      await must("remove", dir);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export type OfflineRoot = Awaited<ReturnType<typeof newOfflineRoot>>;

/** A machine that is off all its life: what an image build or an installer sees. */
export async function newOfflineRoot() {
  mkdirSync(dirname(base), { recursive: true });
  await must("base", base);
  const dir = mkdtempSync(join(tmpdir(), "kms-root-"));
  await must("new", dir, base);
  return {
    /** A shell script inside, without systemd. */
    sh: (text: string) => run("chroot", dir, "sh", "-c", text),
    must: (text: string) => must("chroot", dir, "sh", "-ec", text),
    /** A command outside, told where the file system is. */
    over: (command: (root: string) => readonly string[]) => run("over", dir, ...command(join(dir, "root"))),
    remove: async () => {
      await must("remove", dir);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
