/**
 * @module A real component as a child process. Starts it, keeps the end of its output, ends it by the pid that was started.
 * What runs in it: the files beside.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

export interface ChildOptions {
  readonly cwd: string;
  /** Beside PATH; nothing else of the caller's environment is passed on. */
  readonly env?: Readonly<Record<string, string>>;
  readonly onLine?: (line: string) => void;
}

const KEPT_BYTES = 64_000;
const DEFAULT_GRACE_MS = 10_000;

export function startChild(command: string, args: readonly string[], options: ChildOptions) {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: options.cwd, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let kept = "";
  for (const stream of [child.stdout, child.stderr]) {
    let rest = "";
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      kept = (kept + text).slice(-KEPT_BYTES);
      if (options.onLine !== undefined) {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        lines.forEach(options.onLine);
      }
    });
  }
  child.on("error", (error) => {
    kept += `${command} could not be started: ${error.message}\n`;
  });
  const exited = (): boolean =>
    child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  const gone = async (): Promise<void> => {
    if (!exited()) {
      await once(child, "exit");
    }
  };
  return {
    pid: child.pid ?? 0,
    /** The last lines of stdout and stderr together. */
    output: () => kept,
    exited,
    exitCode: () => child.exitCode,
    /** Sends SIGTERM and waits; SIGKILL after the grace. Resolves with the exit code, null after a signal. */
    stop: async (graceMs: number = DEFAULT_GRACE_MS) => {
      await endWithin(child, exited, gone, graceMs);
      return child.exitCode;
    },
    /** SIGKILL, and waits until it is gone. */
    kill: async () => {
      child.kill("SIGKILL");
      await gone();
    },
    signal: (name: NodeJS.Signals) => {
      child.kill(name);
    },
    pause: () => {
      child.kill("SIGSTOP");
    },
    resume: () => {
      child.kill("SIGCONT");
    },
  };
}

export type Child = ReturnType<typeof startChild>;

async function endWithin(
  child: ChildProcess,
  exited: () => boolean,
  gone: () => Promise<void>,
  graceMs: number,
): Promise<void> {
  if (exited()) {
    return;
  }
  child.kill("SIGCONT");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
  await gone();
  clearTimeout(timer);
}
