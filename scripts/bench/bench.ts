/**
 * The provider beside direct Transit calls: `bun scripts/bench/bench.ts [--quick] [--json FILE] [--chart FILE]`.
 *
 * @module Runs the compiled executable against a real OpenBao over TLS, with the JIT off (as under MemoryDenyWriteExecute) and
 * on, in rounds that alternate with the direct call, so that ratios hold when the machine's speed drifts. Exits with 1 when
 * a target is missed on a machine that was quiet enough to tell.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { textAt } from "../../test/fakes/openbao/json-at.ts";
import { makeJwtIssuer } from "../../test/fakes/openbao/jwt-issuer.ts";
import { provision } from "../../test/fakes/openbao/provision.ts";
import { eventually } from "../../test/real/harness/eventually.ts";
import { startOpenBao } from "../../test/real/harness/openbao.ts";
import { type Provider, prepareProvider } from "../../test/real/harness/provider.ts";
import { chart } from "./chart.ts";
import { type Figure, figure, figureLine, spread } from "./figure.ts";
import type { DirectTarget } from "./load.ts";
import { cpuSeconds, residentMib } from "./process-figures.ts";
import { compare, cpuOf, http2Alone, type LoadResult, load } from "./rounds.ts";
import { unitEnvironment } from "./unit-environment.ts";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    chart: { type: "string" },
  },
});
const ROUNDS = flags.quick ? 3 : 7;
const SCALE = flags.quick ? 0.25 : 1;
const IDLE_SECONDS = 60;
/** What the last load left behind is collected by then. */
const REST_SECONDS = 10;
const FIRST_ENCRYPT_MS = 10_000;
/** Rounds of the direct call that differ by more than this say more about the machine than about us. */
const QUIET_SPREAD = 0.35;

const ratios = (a: readonly number[], b: readonly number[]): number[] =>
  a.map((value, index) => value / (b[index] ?? Number.NaN));
const calls = (count: number): number => Math.ceil(count * SCALE);

interface Start {
  readonly statusMs: number;
  readonly encryptMs: number;
}

/** Starts the provider; milliseconds from exec to the first Status that is `ok`, and to the first Encrypt that is answered. */
async function started(provider: Provider): Promise<Start> {
  const began = performance.now();
  const statusMs = await provider.start();
  const encrypted = async (): Promise<true> => {
    await provider.client.encrypt(new Uint8Array(32));
    return true;
  };
  await eventually("an Encrypt is answered", encrypted, { timeoutMs: FIRST_ENCRYPT_MS, everyMs: 5 });
  return { statusMs, encryptMs: performance.now() - began };
}

/** All figures with the JIT as given; the targets of the hardened unit apply with it off. */
async function measure(provider: Provider, target: DirectTarget, jit: boolean): Promise<readonly Figure[]> {
  const label = jit ? "JIT on" : "JIT off";
  const figures: Figure[] = [];
  const show = (each: Figure): void => {
    figures.push(each);
    console.log(figureLine(each));
  };
  const want = <Target>(wanted: Target): Target | undefined => (jit ? undefined : wanted);

  const fresh = await started(provider);
  show(figure(`${label}: exec to first good Status, no state`, "ms", [fresh.statusMs]));
  show(figure(`${label}: exec to first Encrypt, no state`, "ms", [fresh.encryptMs]));
  await provider.stop();
  const starts: Start[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    starts.push(await started(provider));
    if (round < ROUNDS - 1) {
      await provider.stop();
    }
  }
  show(
    figure(
      `${label}: exec to first good Status`,
      "ms",
      starts.map(({ statusMs }) => statusMs),
      want({ atMost: 150 }),
    ),
  );
  show(
    figure(
      `${label}: exec to first Encrypt`,
      "ms",
      starts.map(({ encryptMs }) => encryptMs),
    ),
  );
  show(
    figure(
      `${label}: resident memory after start`,
      "MiB",
      [residentMib(provider.pid())],
      want({ atMost: 64 }),
    ),
  );

  const statusJob = { method: "Status", callers: 1, calls: calls(4000), distinct: 1 } as const;
  const status: LoadResult[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    status.push(await load({ ...statusJob, target: { socketPath: provider.socketPath } }));
  }
  show(
    figure(
      `${label}: Status p50`,
      "ms",
      status.map((each) => each.p50Ms),
    ),
  );
  show(
    figure(
      `${label}: Status p99`,
      "ms",
      status.map((each) => each.p99Ms),
      want({ atMost: 1 }),
    ),
  );
  show(
    figure(
      `${label}: Status p99 of HTTP/2 alone`,
      "ms",
      (await http2Alone(provider, jit, statusJob, ROUNDS)).map((each) => each.p99Ms),
    ),
  );

  for (const method of ["Encrypt", "Decrypt"] as const) {
    for (const [callers, count] of [
      [1, 1500],
      [8, 4000],
      [64, 8000],
    ] as const) {
      const { ours, direct } = await compare(
        provider,
        target,
        {
          method,
          callers,
          calls: calls(count),
          distinct: 200,
        },
        ROUNDS,
      );
      const p50 = (results: readonly LoadResult[]): number[] => results.map((each) => each.p50Ms);
      const rate = (results: readonly LoadResult[]): number[] => results.map((each) => each.callsPerSecond);
      const name = `${label}: ${method} at ${callers}`;
      show(figure(`${name}: direct call p50`, "ms", p50(direct)));
      show(
        figure(
          `${name}: p50 / direct`,
          "x",
          ratios(p50(ours), p50(direct)),
          method === "Decrypt" && callers === 1 ? want({ atMost: 2.5 }) : undefined,
        ),
      );
      const wantedRate = jit ? { atLeast: 1.2 } : { atLeast: 0.9 };
      const isJudged = method === "Decrypt" && callers === 64;
      show(
        figure(
          `${name}: throughput / direct`,
          "x",
          ratios(rate(ours), rate(direct)),
          isJudged ? wantedRate : undefined,
        ),
      );
      show(figure(`${name}: CPU a call`, "us", cpuOf(ours), isJudged ? want({ atMost: 128 }) : undefined));
      if (isJudged) {
        const alone = cpuOf(
          await http2Alone(provider, jit, { method, callers, calls: calls(count), distinct: 200 }, ROUNDS),
        );
        show(figure(`${name}: CPU a call of HTTP/2 alone`, "us", alone));
        show(figure(`${name}: CPU a call / HTTP/2 alone`, "x", ratios(cpuOf(ours), alone)));
      }
    }
  }

  const storm = await compare(
    provider,
    target,
    {
      method: "Decrypt",
      callers: 64,
      calls: calls(20_000),
      distinct: 200,
    },
    ROUNDS,
  );
  show(
    figure(
      `${label}: storm of 200 ciphertexts, throughput / direct`,
      "x",
      ratios(
        storm.ours.map((each) => each.callsPerSecond),
        storm.direct.map((each) => each.callsPerSecond),
      ),
      want({ atLeast: 1.5 }),
    ),
  );
  show(
    figure(
      `${label}: resident memory after the load`,
      "MiB",
      [residentMib(provider.pid())],
      want({ atMost: 96 }),
    ),
  );

  await Bun.sleep(REST_SECONDS * 1000);
  show(
    figure(
      `${label}: resident memory at rest after it`,
      "MiB",
      [residentMib(provider.pid())],
      want({ atMost: 64 }),
    ),
  );
  const before = cpuSeconds(provider.pid());
  await Bun.sleep(IDLE_SECONDS * 1000);
  // In hundredths of a percent, the kernel's own step being larger.
  const idle = Math.round(((cpuSeconds(provider.pid()) - before) / IDLE_SECONDS) * 1e4) / 100;
  show(figure(`${label}: idle CPU of a core`, "%", [idle], want({ atMost: 0.2 })));
  await provider.stop();
  return figures;
}

async function main(): Promise<void> {
  const binary = process.env["BAO_BIN"] ?? Bun.which("bao");
  if (binary === null) {
    console.error("bench: no OpenBao found; put bao on PATH or set BAO_BIN");
    process.exitCode = 2;
    return;
  }
  const openbao = await startOpenBao(binary);
  const issuer = makeJwtIssuer();
  try {
    const names = await provision(openbao.operator, issuer.publicKeyPem);
    const login = await openbao.operator.must("POST", "auth/token/create", { policies: [names.policyName] });
    const target: DirectTarget = {
      url: openbao.address,
      mountPath: names.mount,
      keyName: names.keyName,
      token: textAt(login, "auth", "client_token"),
      caPem: openbao.caPem,
      serverName: "localhost",
    };
    const figures: Figure[] = [];
    for (const jit of [false, true]) {
      const provider = await prepareProvider({
        openbao,
        names,
        issuer,
        config: {
          server: { maxConcurrentEncrypt: 64 },
          logging: { level: "info" },
          status: { probeInterval: "30s", deepProbeInterval: "5m", statusMaxStaleness: "2m" },
          bootstrap: { graceTimeout: "10s", retryInterval: "1s" },
        },
        env: unitEnvironment(jit ? "on" : "off"),
      });
      try {
        figures.push(...(await measure(provider, target, jit)));
      } finally {
        await provider.dispose();
      }
    }
    conclude(figures);
  } finally {
    await openbao.dispose();
  }
}

function conclude(figures: readonly Figure[]): void {
  const noise = Math.max(...figures.filter(({ name }) => name.endsWith("direct call p50")).map(spread));
  const isQuiet = noise <= QUIET_SPREAD;
  const missed = figures.filter(({ met }) => met === false);
  console.log(
    `the direct call's median varied by ${(noise * 100).toFixed(0)}% between rounds${isQuiet ? "" : ": too noisy to conclude from single figures"}`,
  );
  console.log(
    missed.length === 0 ? "all targets met" : `missed: ${missed.map(({ name }) => name).join("; ")}`,
  );
  if (flags.json !== undefined) {
    writeFileSync(flags.json, `${JSON.stringify({ noise, isQuiet, figures }, undefined, 2)}\n`);
  }
  if (flags.chart !== undefined) {
    writeFileSync(flags.chart, chart(figures.filter(({ name }) => name.endsWith("/ direct"))));
  }
  process.exitCode = missed.length > 0 && isQuiet ? 1 : 0;
}

await main();
