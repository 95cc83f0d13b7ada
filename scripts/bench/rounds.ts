/**
 * @module Rounds of load from the load generator (generator/main.go, with grpc-go), each in a process of its own: against the
 * provider, Transit, the parts alone and a native plugin.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import * as v from "valibot";
import { EncryptResponseSchema } from "../../src/kms/gen/v2/api_pb.ts";
import { eventually } from "../../test/harness/eventually.ts";
import { freePorts } from "../../test/harness/free-port.ts";
import type { Provider } from "../../test/harness/provider.ts";
import { ASSOCIATED_DATA, type DirectTarget } from "./direct-target.ts";
import type { PartsJob } from "./parts-alone.ts";
import { unitEnvironment } from "./unit-environment.ts";

interface LoadJob {
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

const GENERATOR = join(import.meta.dir, "..", "..", "dist", "bench-generator");

/** @throws when Go is missing or the build fails, with its output. */
export function buildGenerator(): void {
  const build = spawnSync("go", ["build", "-trimpath", "-mod=readonly", "-o", GENERATOR, "."], {
    cwd: join(import.meta.dir, "generator"),
    env: { ...process.env, CGO_ENABLED: "0" },
    encoding: "utf8",
  });
  if (build.status !== 0) {
    throw new Error(`the load generator cannot be built: ${build.error?.message ?? build.stderr}`);
  }
}

/** Runs one job in a process of its own. */
async function load(job: LoadJob): Promise<LoadResult> {
  const child = spawn(GENERATOR, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify({ ...job, target: { ...job.target, associatedData: ASSOCIATED_DATA } }));
  let output = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) {
    output += String(chunk);
  }
  return v.parse(loadResult, JSON.parse(output));
}

const START_TIMEOUT_MS = 10_000;

/** @throws when a call failed: a figure of calls that were refused says nothing. */
async function loadWhole(job: LoadJob): Promise<LoadResult> {
  const result = await load(job);
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
export type Work = Omit<LoadJob, "target" | "watchedPid" | "timeoutMs">;

/** Longer than any call takes; only the storm of many callers has kube-apiserver's own. */
const TIMEOUT_MS = 10_000;
const KUBE_APISERVER_TIMEOUT_MS = 3000;

export const loadProvider = (provider: Provider, work: Work): Promise<LoadResult> =>
  loadWhole({
    ...work,
    timeoutMs: TIMEOUT_MS,
    target: { socketPath: provider.socketPath },
    watchedPid: provider.pid(),
  });

/** With kube-apiserver's deadline, and its failures counted. */
export const loadCounting = (provider: Provider, work: Work): Promise<LoadResult> =>
  load({ ...work, timeoutMs: KUBE_APISERVER_TIMEOUT_MS, target: { socketPath: provider.socketPath } });

export const loadDirect = (target: DirectTarget, work: Work): Promise<LoadResult> =>
  loadWhole({ ...work, timeoutMs: TIMEOUT_MS, target });

/** Another KMS server, for comparison. */
export interface OtherServer {
  readonly load: (work: Work) => Promise<LoadResult>;
  readonly pid: number;
  readonly socketPath: string;
  readonly stop: () => Promise<void>;
}

/** @returns the server as soon as it listens; one that does not is ended. */
async function listening(server: ChildProcess, name: string, socketPath: string): Promise<OtherServer> {
  const { pid = 0 } = server;
  const exited = once(server, "exit");
  const listens = (): boolean => existsSync(socketPath);
  try {
    await eventually(`${name} listens`, listens, {
      timeoutMs: START_TIMEOUT_MS,
      giveUp: () => (server.exitCode === null ? undefined : `it has exited with ${server.exitCode}`),
    });
  } catch (error) {
    server.kill();
    throw error;
  }
  return {
    load: (work) => loadWhole({ ...work, timeoutMs: TIMEOUT_MS, watchedPid: pid, target: { socketPath } }),
    pid,
    socketPath,
    stop: async () => {
      server.kill();
      await exited;
    },
  };
}

/** Starts a server of the same parts and nothing else; see parts-alone.ts. */
export async function startPartsAlone(
  provider: Provider,
  direct: DirectTarget,
  jit: "on" | "off",
): Promise<OtherServer> {
  const socketPath = join(provider.dir, "parts-alone.sock");
  const reply = toBinary(EncryptResponseSchema, await provider.client.encrypt(new Uint8Array(32)));
  const job: PartsJob = { direct, encryptReply: Buffer.from(reply).toString("base64") };
  const server = spawn(process.execPath, [join(import.meta.dir, "parts-alone.ts"), socketPath], {
    env: { ...unitEnvironment(jit) },
    stdio: ["pipe", "ignore", "inherit"],
  });
  server.stdin.end(JSON.stringify(job));
  return listening(server, "parts-alone.ts", socketPath);
}

/**
 * Starts a native plugin on the same key: vault-kubernetes-kms, in Go, which logs in with a token and takes it from its environment.
 * @see https://github.com/FalcoSuessgott/vault-kubernetes-kms
 */
export async function startVaultKubernetesKms(
  executable: string,
  provider: Provider,
  { url, mountPath, keyName, token, caPem }: DirectTarget,
): Promise<OtherServer> {
  const file = (name: string): string => join(provider.dir, name);
  const socketPath = file("vault-kubernetes-kms.sock");
  writeFileSync(file("vault-kubernetes-kms.pem"), caPem);
  const [healthPort] = await freePorts(1);
  const flags = {
    socket: `unix://${socketPath}`,
    "vault-address": url,
    "vault-ca-cert": file("vault-kubernetes-kms.pem"),
    "auth-method": "token",
    "transit-mount": mountPath,
    "transit-key": keyName,
    "health-port": healthPort,
  };
  const server = spawn(
    executable,
    Object.entries(flags).map(([flag, value]) => `-${flag}=${value}`),
    { env: { VAULT_KMS_TOKEN: token }, stdio: "ignore" },
  );
  return listening(server, "vault-kubernetes-kms", socketPath);
}
