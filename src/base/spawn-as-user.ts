/** @module A command of this executable with another user's rights: three pipes, no terminal, no environment. */
import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { credentialsText, type UnixCredentials } from "./drop-privileges.ts";
import { readBounded } from "./read-bounded.ts";
import { HIDDEN, selfCommand } from "./self-command.ts";
import { visibleLines } from "./visible-text.ts";

interface RunAsOptions {
  readonly identity: UnixCredentials;
  readonly args: readonly string[];
  readonly input: string;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/** @throws the signal's reason, or what starting the child throws. */
export async function runAs({ identity, args, input, maxBytes, signal }: RunAsOptions) {
  signal.throwIfAborted();
  const [executable, ...words] = selfCommand([HIDDEN.asUser, credentialsText(identity), ...args]);
  const child = spawn(executable, words, {
    cwd: "/",
    env: {},
    // A session of its own has no controlling terminal.
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const stop = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", stop, { once: true });
  try {
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    // The child may end before it has read its input.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const [code, stdout, stderr] = await Promise.all([
      ended,
      readText(child.stdout, maxBytes, stop),
      readText(child.stderr, maxBytes, stop),
    ]);
    signal.throwIfAborted();
    return { code, stdout, stderr };
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function readText(stream: Readable, maxBytes: number, stop: () => void): Promise<string> {
  const bytes = await readBounded(stream, maxBytes);
  if (bytes === undefined) {
    stop();
    return "";
  }
  return visibleLines(Buffer.from(bytes).toString("utf8"), false);
}
