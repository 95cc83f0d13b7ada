/**
 * Rounds of load, each from a process of its own.
 *
 * @module Starts the load generator (load.ts), against the provider, against Transit and against HTTP/2 alone. What is made of the
 * results: bench.ts.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import * as v from "valibot";
import { EncryptResponseSchema } from "../../src/kms/gen/v2/api_pb.ts";
import type { Provider } from "../../test/real/harness/provider.ts";
import type { DirectTarget, LoadJob } from "./load.ts";
import { unitEnvironment } from "./unit-environment.ts";

const loadResult = v.object({
  callsPerSecond: v.number(),
  p50Ms: v.number(),
  p99Ms: v.number(),
  failed: v.number(),
  cpuMicros: v.number(),
});
export type LoadResult = v.InferOutput<typeof loadResult>;

/** Runs one job in a process of its own. */
export async function load(job: LoadJob): Promise<LoadResult> {
  const child = spawn(process.execPath, [join(import.meta.dir, "load.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.end(JSON.stringify(job));
  let output = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    output += String(chunk);
  }
  const result = v.parse(loadResult, JSON.parse(output));
  if (result.failed > 0) {
    throw new Error(
      `${result.failed} of ${job.calls} calls failed: ${JSON.stringify({ ...job, target: "" })}`,
    );
  }
  return result;
}

export interface Compared {
  readonly ours: readonly LoadResult[];
  readonly direct: readonly LoadResult[];
}

/** Alternates our rounds with direct ones. */
export async function compare(
  provider: Provider,
  target: DirectTarget,
  job: Omit<LoadJob, "target">,
  rounds: number,
): Promise<Compared> {
  const ours: LoadResult[] = [];
  const direct: LoadResult[] = [];
  for (let round = 0; round < rounds; round += 1) {
    direct.push(await load({ ...job, target }));
    ours.push(
      await load({ ...job, target: { socketPath: provider.socketPath }, watchedPid: provider.pid() }),
    );
  }
  return { ours, direct };
}

export const cpuOf = (results: readonly LoadResult[]): number[] => results.map((each) => each.cpuMicros);

/** Rounds of a job against a server that only decodes and answers; see http2-alone.ts. */
export async function http2Alone(
  provider: Provider,
  jit: boolean,
  job: Omit<LoadJob, "target" | "watchedPid">,
  rounds: number,
): Promise<readonly LoadResult[]> {
  const socketPath = join(provider.dir, "alone.sock");
  rmSync(socketPath, { force: true });
  const server = spawn(process.execPath, [join(import.meta.dir, "http2-alone.ts"), socketPath], {
    env: { ...unitEnvironment(jit ? "on" : "off") },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(server, "exit");
  try {
    const reply = await provider.client.encrypt(new Uint8Array(32));
    server.stdin.end(toBinary(EncryptResponseSchema, reply));
    await once(server.stdout, "data");
    const watched = server.pid === undefined ? {} : { watchedPid: server.pid };
    const results: LoadResult[] = [];
    for (let round = 0; round < rounds; round += 1) {
      results.push(await load({ ...job, ...watched, target: { socketPath } }));
    }
    return results;
  } finally {
    server.kill();
    await exited;
  }
}
