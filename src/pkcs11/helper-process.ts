/** @module Starts the helper process, listens to it, and makes sure that it is gone. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import type { Clock } from "../base/clock.ts";
import type { HelperStage } from "./errors.ts";
import {
  decodeLine,
  encodeRequest,
  type HelperResult,
  type HelperTask,
  type TokenNames,
} from "./helper-protocol.ts";

/** How the helper process is started. */
export interface HelperStart {
  readonly command: readonly [string, ...string[]];
  /** All of the child's environment: see module-environment.ts. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface HelperCall {
  readonly token: TokenNames;
  readonly task: HelperTask;
  /** From spawn to the last line; the process is killed then. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** How a helper ended; `stage` is the last that it reported, if any. */
export interface HelperEnd {
  readonly stage: HelperStage | undefined;
  readonly outcome:
    | HelperResult
    | { readonly kind: "timeout" }
    | { readonly kind: "aborted" }
    /** It ended by itself without a last word: the module crashed, called exit(3), or there is no memory. */
    | { readonly kind: "vanished"; readonly exitCode: number | null; readonly signal: string | null }
    | { readonly kind: "not_started"; readonly cause: unknown };
}

export type RunHelper = (call: HelperCall) => Promise<HelperEnd>;

/** The answer of a login, in base64, and everything that a noisy module may print before it. */
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
/** A process that the module forked may keep stdout open. */
const PIPE_GRACE_MS = 200;

type Child = ChildProcessByStdio<Writable, Readable, null>;

export function helperProcess({
  command,
  environment,
  clock,
}: HelperStart & { readonly clock: Clock }): RunHelper {
  return async (call) => {
    if (call.signal.aborted) {
      return { stage: undefined, outcome: { kind: "aborted" } };
    }
    const marker = randomBytes(16).toString("hex");
    const [executable, ...args] = command;
    // The module may write to stderr; it is discarded, since it is untrusted.
    const child: Child = spawn(executable, args, {
      cwd: "/",
      env: { ...environment },
      // A process group of its own, so that what the module forks is killed with it.
      detached: true,
      stdio: ["pipe", "pipe", "ignore"],
    });
    const ended = exitOf(child);
    const lines = readLines(child.stdout, marker);
    // The process may die before it has read its request.
    child.stdin.on("error", () => {});
    child.stdin.end(
      encodeRequest({
        marker,
        alarmSeconds: Math.min(Math.ceil(call.timeoutMs / 1000) + 1, 3600),
        parentPid: process.pid,
        token: call.token,
        task: call.task,
      }),
    );

    const stop = await waitForEnd(clock, call, ended);
    killGroup(child);
    const exit = await ended;
    killGroup(child);
    await Promise.race([lines.closed, clock.sleep(PIPE_GRACE_MS)]);
    child.stdout.destroy();
    if (exit.kind === "not_started") {
      return { stage: undefined, outcome: exit };
    }
    // An answer that was complete before the deadline counts, whatever the process did afterwards.
    return { stage: lines.stage(), outcome: lines.last() ?? stop ?? exit };
  };
}

type Exit = Extract<HelperEnd["outcome"], { kind: "vanished" | "not_started" }>;

function exitOf(child: Child): Promise<Exit> {
  return new Promise((resolve) => {
    // Not "close": that waits for the pipes too.
    child.once("exit", (exitCode, signal) => resolve({ kind: "vanished", exitCode, signal }));
    child.once("error", (cause) => resolve({ kind: "not_started", cause }));
  });
}

async function waitForEnd(
  clock: Clock,
  call: HelperCall,
  ended: Promise<Exit>,
): Promise<{ readonly kind: "timeout" } | { readonly kind: "aborted" } | undefined> {
  const over = new AbortController();
  const signal = AbortSignal.any([call.signal, over.signal]);
  const deadline = clock.sleep(call.timeoutMs, signal).then(
    () => ({ kind: "timeout" }) as const,
    () => (call.signal.aborted ? ({ kind: "aborted" } as const) : undefined),
  );
  try {
    return await Promise.race([ended.then(() => undefined), deadline]);
  } finally {
    over.abort();
  }
}

function killGroup(child: Child): void {
  if (child.pid === undefined) {
    return;
  }
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // ESRCH: the group is empty, which is what is wanted.
  }
}

/** Keeps the helper's stages and last word from its stdout; everything without the marker is thrown away. */
function readLines(stdout: Readable, marker: string) {
  let rest = "";
  let length = 0;
  let stage: HelperStage | undefined;
  let last: HelperResult | undefined;
  const take = (text: string): void => {
    const line = decodeLine(marker, text);
    if (line?.kind === "stage") {
      stage = line.stage;
    } else if (line !== undefined) {
      last ??= line;
    }
  };
  stdout.setEncoding("latin1");
  stdout.on("data", (text: string) => {
    length += text.length;
    if (length > MAX_OUTPUT_BYTES) {
      rest = "";
      return;
    }
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      take(part);
    }
  });
  const closed = once(stdout, "close").catch(() => {});
  return { closed, stage: () => stage, last: () => last };
}
