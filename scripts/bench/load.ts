/**
 * One job of the load generator, which calls as kube-apiserver does: generator/main.go, with grpc-go.
 *
 * @module Builds it, hands it a job as JSON and reads its figures. The generator calls the provider, or Transit over HTTP/2.
 */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import * as v from "valibot";
import { ASSOCIATED_DATA, type DirectTarget } from "./transit-post.ts";

export interface LoadJob {
  readonly target: { readonly socketPath: string } | DirectTarget;
  readonly method: "Status" | "Encrypt" | "Decrypt";
  readonly callers: number;
  readonly calls: number;
  /** How many different ciphertexts a Decrypt job goes through, in turn. */
  readonly distinct: number;
  /** Of each call. */
  readonly timeoutMs: number;
  /** The process whose CPU is read while the calls are made, after preparation and warm-up. */
  readonly watchedPid?: number;
}

const loadResult = v.object({
  callsPerSecond: v.number(),
  p50Ms: v.number(),
  p99Ms: v.number(),
  failed: v.number(),
  /** CPU of the watched process, microseconds a call; 0 when none is watched. */
  cpuMicros: v.number(),
});
export type LoadResult = v.InferOutput<typeof loadResult>;

const executable = join(import.meta.dir, "..", "..", "dist", "bench-generator");

/** @throws when Go is missing or the build fails, with its output. */
export function buildGenerator(): void {
  const build = spawnSync("go", ["build", "-trimpath", "-mod=readonly", "-o", executable, "."], {
    cwd: join(import.meta.dir, "generator"),
    env: { ...process.env, CGO_ENABLED: "0" },
    encoding: "utf8",
  });
  if (build.status !== 0) {
    throw new Error(`the load generator cannot be built: ${build.error?.message ?? build.stderr}`);
  }
}

/** Runs one job in a process of its own. */
export async function load(job: LoadJob): Promise<LoadResult> {
  const child = spawn(executable, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify({ ...job, target: { ...job.target, associatedData: ASSOCIATED_DATA } }));
  let output = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    output += String(chunk);
  }
  return v.parse(loadResult, JSON.parse(output));
}
