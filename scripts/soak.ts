/**
 * A long life of the provider in short: `bun scripts/soak.ts`. One million mixed calls, with the key rotated forty times, once
 * with the JIT and once without; memory, descriptors and latency at the end must be as at the start.
 *
 * --calls N    how many (default 1,000,000; a tenth of them Encrypt, a tenth Status, the rest Decrypt)
 * --jit MODE   on, off or both (default)
 * --out FILE   the figures of every twentieth, as JSON
 *
 * @module OpenBao is the real one when there is one, else the stand-in.
 */
import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import type { EncryptResponse } from "../src/kms/gen/v2/api_pb.ts";
import { makeJwtIssuer } from "../test/fakes/openbao/jwt-issuer.ts";
import { provision } from "../test/fakes/openbao/provision.ts";
import { startAnyOpenBao } from "../test/harness/any-openbao.ts";
import type { KmsClient } from "../test/harness/kms-client.ts";
import { prepareProvider } from "../test/harness/provider.ts";
import { findBinary } from "../test/harness/real-suite.ts";
import { median } from "./bench/figure.ts";
import { residentMib } from "./bench/process-figures.ts";
import { unitEnvironment } from "./bench/unit-environment.ts";
import { runScript, writeJson } from "./run-script.ts";

type Stretch = Awaited<ReturnType<typeof stretch>>;

const STRETCHES = 20;
const ROTATIONS_EACH = 2;
const CALLERS = 8;
const KEPT = 2000;
const CALL = { timeoutMs: 10_000 };
/** What the end may have more than the start: the heap breathes, and a busy machine is slower at one time than at another. */
const MORE_MEMORY_MIB = 32;
const MORE_DESCRIPTORS = 8;
const SLOWER = 2;

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "1000000" },
    jit: { type: "string", default: "both" },
    out: { type: "string" },
  },
});

/** Makes so many calls and measures each; `kept` has ciphertexts of all key versions and grows to its bound. */
async function stretch(client: KmsClient, calls: number, kept: EncryptResponse[], pid: number) {
  const latencies: number[] = [];
  let left = calls;
  let failed = 0;
  const one = async (index: number): Promise<void> => {
    if (index % 10 === 0) {
      await client.status(CALL);
      return;
    }
    const old = kept[index % Math.max(1, kept.length)];
    if (index % 10 === 1 || old === undefined) {
      const place = kept.length < KEPT ? kept.length : Math.floor(Math.random() * KEPT);
      kept[place] = await client.encrypt(crypto.getRandomValues(new Uint8Array(32)), CALL);
      return;
    }
    await client.decrypt(old, CALL);
  };
  const callers = Array.from({ length: CALLERS }, async () => {
    for (left -= 1; left >= 0; left -= 1) {
      const began = performance.now();
      await one(left).catch(() => {
        failed += 1;
      });
      latencies.push(performance.now() - began);
    }
  });
  await Promise.all(callers);
  latencies.sort((a, b) => a - b);
  const quantile = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? 0;
  return {
    calls,
    failed,
    residentMib: Math.round(residentMib(pid)),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    p50Ms: Number(quantile(0.5).toFixed(3)),
    p99Ms: Number(quantile(0.99).toFixed(3)),
  };
}

async function soak(jit: "on" | "off", calls: number) {
  const openbao = await startAnyOpenBao(findBinary("bao"));
  const issuer = makeJwtIssuer();
  const names = await provision(openbao.operator, issuer.publicKeyPem);
  const provider = await prepareProvider({
    openbao,
    names,
    issuer,
    config: { logging: { level: "warn" } },
    env: unitEnvironment(jit),
  });
  try {
    await provider.start();
    const kept: EncryptResponse[] = [];
    // What the first calls bring up (code, connections, the heap's size) is not growth.
    await stretch(provider.client, Math.ceil(calls / 50), kept, provider.pid());
    const stretches: Stretch[] = [];
    for (let index = 0; index < STRETCHES; index += 1) {
      for (let rotation = 0; rotation < ROTATIONS_EACH; rotation += 1) {
        await openbao.operator.must("POST", `${names.mount}/keys/${names.keyName}/rotate`, {});
      }
      const figures = await stretch(provider.client, Math.ceil(calls / STRETCHES), kept, provider.pid());
      stretches.push(figures);
      console.log(
        `jit ${jit.padEnd(3)} ${String(index + 1).padStart(2)}/${STRETCHES}  ${figures.residentMib} MiB  ${figures.descriptors} descriptors  p50 ${figures.p50Ms} ms  p99 ${figures.p99Ms} ms  ${figures.failed} failed`,
      );
    }
    return { jit, stretches, problems: judge(stretches) };
  } finally {
    await provider.dispose();
    await openbao.dispose();
  }
}

/** The last quarter beside the first. */
function judge(stretches: readonly Stretch[]): readonly string[] {
  const quarter = STRETCHES / 4;
  const compare = (of: (stretch: Stretch) => number): readonly [start: number, end: number] => [
    median(stretches.slice(0, quarter).map(of)),
    median(stretches.slice(-quarter).map(of)),
  ];
  const [memoryBefore, memoryAfter] = compare((each) => each.residentMib);
  const [filesBefore, filesAfter] = compare((each) => each.descriptors);
  const [p50Before, p50After] = compare((each) => each.p50Ms);
  const failed = stretches.reduce((sum, each) => sum + each.failed, 0);
  return [
    ...(failed > 0 ? [`${failed} calls failed`] : []),
    ...(memoryAfter > memoryBefore + MORE_MEMORY_MIB ? [`memory ${memoryBefore} to ${memoryAfter} MiB`] : []),
    ...(filesAfter > filesBefore + MORE_DESCRIPTORS ? [`descriptors ${filesBefore} to ${filesAfter}`] : []),
    ...(p50After > p50Before * SLOWER ? [`p50 ${p50Before} to ${p50After} ms`] : []),
  ];
}

async function main(): Promise<number> {
  const modes =
    values.jit === "both" ? (["on", "off"] as const) : ([values.jit === "off" ? "off" : "on"] as const);
  const soaks: Awaited<ReturnType<typeof soak>>[] = [];
  for (const mode of modes) {
    soaks.push(await soak(mode, Number(values.calls) / modes.length));
  }
  writeJson(values.out, soaks);
  for (const { jit, problems } of soaks) {
    console.log(`jit ${jit}: ${problems.length === 0 ? "the end is as the start" : problems.join("; ")}`);
  }
  return soaks.every(({ problems }) => problems.length === 0) ? 0 : 1;
}

runScript("soak", main);
