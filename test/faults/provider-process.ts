/**
 * The provider's process under a hand that does worse to it than systemd would.
 *
 * @module Starts it plainly, behind a prefix, or on a machine of its own; which directories and configuration it has is
 * test/harness/provider.ts.
 */
import { existsSync } from "node:fs";
import { type Child, startChild } from "../harness/child.ts";
import { eventually } from "../harness/eventually.ts";
import type { LogLine, Provider } from "../harness/provider.ts";

export interface Launch {
  readonly prefix?: readonly string[];
  readonly configPath?: string;
}

export interface ProviderProcess {
  readonly pid: () => number;
  readonly exited: () => boolean;
  readonly exitCode: () => number | null;
  /** Spawns it; resolves at once. */
  readonly spawn: (launch?: Launch) => void;
  /** Spawns it and waits for a Status that is `ok`. */
  readonly start: (launch?: Launch) => Promise<void>;
  readonly stop: () => Promise<void>;
  readonly kill: () => Promise<void>;
  readonly signal: (name: NodeJS.Signals) => void;
  /** Lines of all its lives. */
  readonly log: () => readonly LogLine[];
}

const START_TIMEOUT_MS = 20_000;

export function providerProcess(provider: Provider): ProviderProcess {
  const lines: LogLine[] = [];
  let child: Child | undefined;
  const spawn = ({ prefix = [], configPath = provider.configPath }: Launch = {}): void => {
    const [command, ...args] = [...prefix, provider.executable, "serve", "--config", configPath];
    child = startChild(command, args, {
      cwd: provider.dir,
      onLine: (line) => {
        if (line.startsWith("{")) {
          const parsed: LogLine = JSON.parse(line);
          lines.push(parsed);
        }
      },
    });
  };
  return {
    pid: () => child?.pid ?? 0,
    exited: () => child?.exited() ?? true,
    exitCode: () => child?.exitCode() ?? null,
    spawn,
    start: async (launch) => {
      spawn(launch);
      await eventually(
        "the provider's Status is ok",
        async () => existsSync(provider.socketPath) && (await provider.client.status()).healthz === "ok",
        {
          timeoutMs: START_TIMEOUT_MS,
          everyMs: 20,
          giveUp: () => (child?.exited() ? `it has exited: ${child.output()}` : undefined),
        },
      );
    },
    stop: async () => {
      await child?.stop();
    },
    kill: async () => {
      await child?.kill();
    },
    signal: (name) => child?.signal(name),
    log: () => lines,
  };
}
