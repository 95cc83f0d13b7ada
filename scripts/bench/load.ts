/**
 * The load generator: a process of its own that reads one job as JSON on stdin and writes its figures as JSON on stdout.
 *
 * @module Calls either the provider over its socket or Transit directly over TLS, with a fixed number of callers, each
 * starting its next call when the last one has ended.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as v from "valibot";
import {
  DecryptRequestSchema,
  EncryptRequestSchema,
  EncryptResponseSchema,
  StatusRequestSchema,
} from "../../src/kms/gen/v2/api_pb.ts";
import { cpuSeconds } from "./process-figures.ts";
import {
  ASSOCIATED_DATA,
  type DirectTarget,
  directTarget,
  encryptAnswer,
  encryptBody,
  transitPost,
} from "./transit-post.ts";
import { openUnaryCaller } from "./unary-caller.ts";

const loadJob = v.object({
  target: v.union([v.object({ socketPath: v.string() }), directTarget]),
  method: v.picklist(["Status", "Encrypt", "Decrypt"]),
  callers: v.number(),
  calls: v.number(),
  /** How many different ciphertexts a Decrypt job goes through, in turn. */
  distinct: v.number(),
  /** The process whose CPU is read while the calls are made, after preparation and warm-up. */
  watchedPid: v.optional(v.number()),
});
export type LoadJob = v.InferOutput<typeof loadJob>;

export const loadResult = v.object({
  callsPerSecond: v.number(),
  p50Ms: v.number(),
  p99Ms: v.number(),
  failed: v.number(),
  /** CPU of the watched process, microseconds a call; 0 when none is watched. */
  cpuMicros: v.number(),
});
export type LoadResult = v.InferOutput<typeof loadResult>;

const PLAINTEXT = Buffer.alloc(32, 7);

/** Returns the function that makes the n-th call of the job. */
async function prepare(
  job: LoadJob,
): Promise<{ once: (index: number) => Promise<unknown>; close: () => void }> {
  return "socketPath" in job.target
    ? await throughProvider(job, job.target.socketPath)
    : await direct(job, job.target);
}

async function throughProvider(job: LoadJob, socketPath: string): ReturnType<typeof prepare> {
  const caller = await openUnaryCaller(socketPath);
  const encryptRequest = toBinary(
    EncryptRequestSchema,
    create(EncryptRequestSchema, { plaintext: PLAINTEXT, uid: "bench" }),
  );
  const close = (): void => caller.close();
  if (job.method === "Status") {
    const request = toBinary(StatusRequestSchema, create(StatusRequestSchema));
    return { once: () => caller.call("Status", request), close };
  }
  if (job.method === "Encrypt") {
    return { once: () => caller.call("Encrypt", encryptRequest), close };
  }
  const requests: Uint8Array[] = [];
  for (let index = 0; index < job.distinct; index += 1) {
    const { ciphertext, keyId, annotations } = fromBinary(
      EncryptResponseSchema,
      await caller.call("Encrypt", encryptRequest),
    );
    const request = create(DecryptRequestSchema, { ciphertext, keyId, annotations, uid: `bench-${index}` });
    requests.push(toBinary(DecryptRequestSchema, request));
  }
  return {
    once: (index) => caller.call("Decrypt", requests[index % requests.length] ?? encryptRequest),
    close,
  };
}

async function direct(job: LoadJob, target: DirectTarget): ReturnType<typeof prepare> {
  const post = transitPost(target);
  const encrypt = encryptBody(PLAINTEXT);
  if (job.method !== "Decrypt") {
    return { once: () => post("encrypt", encrypt), close: () => {} };
  }
  const bodies: string[] = [];
  for (let index = 0; index < job.distinct; index += 1) {
    const { data } = v.parse(encryptAnswer, await post("encrypt", encrypt));
    bodies.push(JSON.stringify({ ciphertext: data.ciphertext, associated_data: ASSOCIATED_DATA }));
  }
  return { once: (index) => post("decrypt", bodies[index % bodies.length] ?? ""), close: () => {} };
}

async function run(job: LoadJob): Promise<LoadResult> {
  const { once, close } = await prepare(job);
  // This process compiles its own code on the way, which is not what is measured.
  const warmUp = Math.min(1000, Math.ceil(job.calls / 4));
  await inParallel(job.callers, warmUp, once);
  const latencies = new Float64Array(job.calls);
  let failed = 0;
  const cpu = (): number => (job.watchedPid === undefined ? 0 : cpuSeconds(job.watchedPid));
  const cpuBefore = cpu();
  const started = performance.now();
  await inParallel(job.callers, job.calls, async (index) => {
    const before = performance.now();
    try {
      await once(index);
    } catch {
      failed += 1;
    }
    latencies[index] = performance.now() - before;
  });
  const seconds = (performance.now() - started) / 1000;
  const cpuMicros = ((cpu() - cpuBefore) * 1e6) / job.calls;
  close();
  latencies.sort();
  const at = (quantile: number): number =>
    latencies[Math.min(job.calls - 1, Math.floor(quantile * job.calls))] ?? 0;
  return {
    callsPerSecond: job.calls / seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    failed,
    cpuMicros,
  };
}

async function inParallel(
  callers: number,
  calls: number,
  once: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (next < calls) {
        const index = next;
        next += 1;
        await once(index);
      }
    }),
  );
}

if (import.meta.main) {
  console.log(JSON.stringify(await run(v.parse(loadJob, await Bun.stdin.json()))));
  process.exit(0);
}
