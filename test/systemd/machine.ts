/**
 * @module A Debian machine with a real systemd, for one suite. Drives the script `machine` beside it. What is installed in it:
 * `provider-machine.ts`.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Child, startChild } from "../harness/child.ts";
import { type CommandResult, runCommand } from "../harness/command.ts";

const script = join(import.meta.dir, "machine");
/** The Debian release: MACHINE_SUITE=trixie tests on another one than usual. */
const suite = process.env["MACHINE_SUITE"] ?? "bookworm";
/** Its root is kept between runs, as making it takes most of a minute; another script makes another one. */
const base = `/var/tmp/bao-kms-provider-test/${suite}-${Bun.hash(readFileSync(script)).toString(36)}`;

export interface Machine {
  /** A shell script inside, as root. */
  readonly sh: (text: string) => Promise<CommandResult>;
  /** The same, which must succeed; returns its output, trimmed. */
  readonly must: (text: string) => Promise<string>;
  /** The same as another user, with that user's own groups. */
  readonly as: (user: string, text: string) => Promise<CommandResult>;
  /** A path inside, seen from outside. */
  readonly path: (inside: string) => string;
  /** A folder that has the same path inside and outside. */
  readonly shared: string;
  /** Process id of its systemd, seen from outside. */
  readonly leader: () => string;
  /** A command outside, in a node's network. */
  readonly net: (...command: readonly string[]) => Child;
  readonly put: (inside: string, content: string | Uint8Array, mode?: number) => void;
  readonly boot: () => Promise<void>;
  readonly powerOff: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

const run = (...args: readonly string[]): Promise<CommandResult> =>
  runCommand([script, ...args], { env: { ...process.env, SUITE: suite } });

async function must(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await run(...args);
  if (status !== 0) {
    throw new Error(`${args.join(" ")} ended with ${status}:\n${stdout}${stderr}`);
  }
  return stdout.trim();
}

/** A fresh machine, powered off; `boot` starts it. A node has its own network, and kubelet can run in it. */
export async function newMachine(kind: "new" | "node" = "new"): Promise<Machine> {
  mkdirSync(dirname(base), { recursive: true });
  chmodSync(dirname(base), 0o700);
  await must("base", base);
  const dir = mkdtempSync(join(tmpdir(), "kms-machine-"));
  await must(kind, dir, base);
  const inside = (...command: readonly string[]): readonly string[] => ["exec", dir, ...command];
  const leader = (): string => readFileSync(join(dir, "leader"), "utf8").trim();
  const path = (name: string): string => join(`/proc/${leader()}/root`, name);
  return {
    sh: (text) => run(...inside("sh", "-c", text)),
    must: (text) => must(...inside("sh", "-ec", text)),
    as: (user, text) => run(...inside("runuser", "-u", user, "--", "sh", "-c", text)),
    path,
    leader,
    shared: join(dir, "shared"),
    net: (...command) => startChild(script, ["net", dir, ...command], { cwd: dir }),
    put: (name, content, mode = 0o644) => {
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

/** A machine that is off all its life: what an image build or an installer sees. */
export interface OfflineRoot {
  /** A shell script inside, without systemd. */
  readonly sh: (text: string) => Promise<CommandResult>;
  readonly must: (text: string) => Promise<string>;
  /** A command outside, told where the file system is. */
  readonly over: (command: (root: string) => readonly string[]) => Promise<CommandResult>;
  readonly remove: () => Promise<void>;
}

export async function newOfflineRoot(): Promise<OfflineRoot> {
  mkdirSync(dirname(base), { recursive: true });
  await must("base", base);
  const dir = mkdtempSync(join(tmpdir(), "kms-root-"));
  await must("new", dir, base);
  return {
    sh: (text) => run("chroot", dir, "sh", "-c", text),
    must: (text) => must("chroot", dir, "sh", "-ec", text),
    over: (command) => run("over", dir, ...command(join(dir, "root"))),
    remove: async () => {
      await must("remove", dir);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
