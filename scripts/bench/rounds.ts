/**
 * Rounds of load, each from a process of its own.
 *
 * @module Starts the load generator (load.ts), against the provider, against Transit and against HTTP/2 alone. What is made of the
 * results: bench.ts.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import * as v from "valibot";
import { EncryptResponseSchema } from "../../src/kms/gen/v2/api_pb.ts";
import type { Provider } from "../../test/real/harness/provider.ts";
import { type DirectTarget, type LoadJob, type LoadResult, loadResult } from "./load.ts";
import { unitEnvironment } from "./unit-environment.ts";

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

/** Rounds of both in turns, so that what changes on the machine changes for both. */
export async function inTurns(
  rounds: number,
  one: () => Promise<LoadResult>,
  other: () => Promise<LoadResult>,
): Promise<readonly [readonly LoadResult[], readonly LoadResult[]]> {
  const results: [LoadResult[], LoadResult[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    results[0].push(await one());
    results[1].push(await other());
  }
  return results;
}

/** A job without whom it is put to. */
export type Work = Omit<LoadJob, "target" | "watchedPid">;

export const loadProvider = (provider: Provider, work: Work): Promise<LoadResult> =>
  load({ ...work, target: { socketPath: provider.socketPath }, watchedPid: provider.pid() });

export const loadDirect = (target: DirectTarget, work: Work): Promise<LoadResult> =>
  load({ ...work, target });

export interface Http2Alone {
  readonly load: (work: Work) => Promise<LoadResult>;
  readonly stop: () => Promise<void>;
}

/** Starts a server that only decodes and answers; see http2-alone.ts. */
export async function startHttp2Alone(provider: Provider, jit: boolean): Promise<Http2Alone> {
  const socketPath = join(provider.dir, "alone.sock");
  const reply = await provider.client.encrypt(new Uint8Array(32));
  const server = spawn(process.execPath, [join(import.meta.dir, "http2-alone.ts"), socketPath], {
    env: { ...unitEnvironment(jit ? "on" : "off") },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(server, "exit");
  server.stdin.end(toBinary(EncryptResponseSchema, reply));
  await once(server.stdout, "data");
  const watched = server.pid === undefined ? {} : { watchedPid: server.pid };
  return {
    load: (work) => load({ ...work, ...watched, target: { socketPath } }),
    stop: async () => {
      server.kill();
      await exited;
    },
  };
}
