/**
 * @module All figures of the provider with the JIT on or off, and the target of each: the targets are those of the hardened
 * unit, where the JIT is off, and one with the JIT on.
 */
import { existsSync } from "node:fs";
import { eventually } from "../../test/harness/eventually.ts";
import type { Provider } from "../../test/harness/provider.ts";
import type { DirectTarget } from "./direct-target.ts";
import { type Figure, figure } from "./figure.ts";
import { anonymousMib, cpuSeconds, residentMib } from "./process-figures.ts";
import {
  inTurns,
  type LoadResult,
  loadCounting,
  loadDirect,
  loadProvider,
  type OtherServer,
  startPartsAlone,
  startVaultKubernetesKms,
  type Work,
} from "./rounds.ts";

export interface Subject {
  /** Not started yet. */
  readonly provider: Provider;
  readonly direct: DirectTarget;
  readonly jit: "on" | "off";
  readonly rounds: number;
  /** Part of the calls of a full run. */
  readonly scale: number;
  /** The executable of vault-kubernetes-kms, to measure beside ours. */
  readonly nativePlugin: string | undefined;
}

type Figures = AsyncGenerator<Figure, void, undefined>;
type Target = Exclude<Figure["target"], undefined>;
/** Names a figure after the JIT, and holds it to its target where that applies. */
type Show = (
  name: string,
  unit: string,
  values: readonly number[],
  jitOff?: Target,
  jitOn?: Target,
) => Figure;

const DISTINCT_CIPHERTEXTS = 200;
/** Callers, and calls of a full run. */
const CALLS = [
  [1, 1500],
  [8, 4000],
  [64, 8000],
] as const;
const IDLE_SECONDS = 60;
/** What start or load left behind is collected by then. */
const REST_SECONDS = 10;
const FIRST_STATUS_MS = 20_000;
const FIRST_ENCRYPT_MS = 10_000;

/** Starts the provider, measures, and leaves it stopped. */
export async function* measure(subject: Subject): Figures {
  const { provider, direct, jit } = subject;
  const show: Show = (name, unit, values, jitOff, jitOn) =>
    figure(`JIT ${jit}: ${name}`, unit, values, jit === "on" ? jitOn : jitOff);
  yield* starts(subject, show);
  yield* idle(subject, show);
  const parts = await startPartsAlone(provider, direct, jit);
  try {
    yield* statusCalls(subject, parts, show);
    yield* floorOfDecrypt(subject, parts, show);
  } finally {
    await parts.stop();
  }
  yield* transitCalls(subject, show);
  yield* memoryAfterLoad(subject, show);
  yield* storm(subject, show);
  yield* manyCallers(subject, show);
  if (subject.nativePlugin !== undefined) {
    const native = await startVaultKubernetesKms(subject.nativePlugin, provider, subject.direct);
    try {
      yield* besideNativePlugin(subject, native, show);
    } finally {
      await native.stop();
    }
  }
  await provider.stop();
}

/** Milliseconds from exec to the socket, to the first Status that is `ok`, and to the first Encrypt that is answered. */
async function start(provider: Provider) {
  const began = performance.now();
  provider.spawn();
  const poll = { timeoutMs: FIRST_STATUS_MS, everyMs: 1 };
  await eventually("the socket is there", () => existsSync(provider.socketPath), poll);
  const socketMs = performance.now() - began;
  await eventually("a Status is ok", async () => (await provider.client.status()).healthz === "ok", poll);
  const statusMs = performance.now() - began;
  const encrypted = async (): Promise<true> => {
    await provider.client.encrypt(new Uint8Array(32));
    return true;
  };
  await eventually("an Encrypt is answered", encrypted, { timeoutMs: FIRST_ENCRYPT_MS, everyMs: 5 });
  return { socketMs, statusMs, encryptMs: performance.now() - began };
}

async function* starts({ provider, rounds }: Subject, show: Show): Figures {
  const fresh = await start(provider);
  yield show("exec to first good Status, no state", "ms", [fresh.statusMs]);
  yield show("exec to first Encrypt, no state", "ms", [fresh.encryptMs]);
  const all: (typeof fresh)[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await provider.stop();
    all.push(await start(provider));
  }
  const each = (what: keyof typeof fresh): number[] => all.map((times) => times[what]);
  yield show("exec to the socket", "ms", each("socketMs"), { atMost: 60 });
  yield show("exec to first good Status", "ms", each("statusMs"), { atMost: 100 });
  yield show("exec to first Encrypt", "ms", each("encryptMs"));
  yield show("resident memory after start", "MiB", [residentMib(provider.pid())], { atMost: 64 });
}

async function* idle({ provider }: Subject, show: Show): Figures {
  await Bun.sleep(REST_SECONDS * 1000);
  const before = cpuSeconds(provider.pid());
  await Bun.sleep(IDLE_SECONDS * 1000);
  // In hundredths of a percent, the kernel's own step being larger.
  const used = Math.round(((cpuSeconds(provider.pid()) - before) / IDLE_SECONDS) * 1e4) / 100;
  yield show("idle CPU of a core", "%", [used], { atMost: 0.2 });
}

async function* statusCalls({ provider, rounds, scale }: Subject, parts: OtherServer, show: Show): Figures {
  const work = workOf("Status", 1, 4000 * scale);
  const [ours, floor] = await inTurns(
    rounds,
    () => loadProvider(provider, work),
    () => parts.load(work),
  );
  yield show("Status p50", "ms", p50(ours));
  yield show("Status p99", "ms", p99(ours), { atMost: 1 });
  yield show("Status p99 of the parts alone", "ms", p99(floor));
}

async function* transitCalls({ provider, direct, rounds, scale }: Subject, show: Show): Figures {
  for (const method of ["Encrypt", "Decrypt"] as const) {
    for (const [callers, calls] of CALLS) {
      const work = workOf(method, callers, calls * scale);
      const [theirs, ours] = await inTurns(
        rounds,
        () => loadDirect(direct, work),
        () => loadProvider(provider, work),
      );
      const name = `${method} at ${callers}`;
      const isJudged = (at: number): boolean => method === "Decrypt" && callers === at;
      yield show(`${name}: direct call p50`, "ms", p50(theirs));
      yield* beside("direct", name, ours, theirs, show, {
        p50: isJudged(1) ? { atMost: 1.8 } : isJudged(8) ? { atMost: 1.4 } : undefined,
        rate: isJudged(64) ? { atLeast: 0.9 } : undefined,
        rateJitOn: isJudged(64) ? { atLeast: 1.2 } : undefined,
      });
      yield show(`${name}: CPU a call`, "us", cpu(ours));
    }
  }
}

/** What no figure of the provider can be better than; see parts-alone.ts. */
async function* floorOfDecrypt({ direct, rounds, scale }: Subject, parts: OtherServer, show: Show): Figures {
  for (const [callers, calls] of CALLS) {
    const work = workOf("Decrypt", callers, calls * scale);
    const [theirs, floor] = await inTurns(
      rounds,
      () => loadDirect(direct, work),
      () => parts.load(work),
    );
    const name = `Decrypt at ${callers}, the parts alone`;
    yield* beside("direct", name, floor, theirs, show);
    yield show(`${name}: CPU a call`, "us", cpu(floor));
  }
}

async function* memoryAfterLoad({ provider }: Subject, show: Show): Figures {
  yield show("resident memory after the load", "MiB", [residentMib(provider.pid())], { atMost: 96 });
  yield show("anonymous memory after the load", "MiB", [anonymousMib(provider.pid())], { atMost: 20 });
  await Bun.sleep(REST_SECONDS * 1000);
  yield show("resident memory at rest after it", "MiB", [residentMib(provider.pid())], { atMost: 64 });
}

/** All API servers start at once and decrypt what they have, through a provider that has just started too. */
async function* storm({ provider, direct, rounds, scale }: Subject, show: Show): Figures {
  const work = workOf("Decrypt", 64, 20_000 * scale);
  const [theirs, ours] = await inTurns(
    rounds,
    () => loadDirect(direct, work),
    async () => {
      await provider.stop();
      await start(provider);
      return await loadProvider(provider, work);
    },
  );
  yield show(
    `storm of ${DISTINCT_CIPHERTEXTS} ciphertexts, throughput / direct`,
    "x",
    ratios(rate(ours), rate(theirs)),
    { atLeast: 0.8 },
  );
}

async function* besideNativePlugin(
  { provider, rounds, scale }: Subject,
  native: OtherServer,
  show: Show,
): Figures {
  const besides = [
    // It asks its Vault for each Status, so this takes it as long as 4000 take us.
    workOf("Status", 1, 400 * scale),
    ...CALLS.map(([callers, calls]) => workOf("Decrypt", callers, calls * scale)),
  ];
  for (const work of besides) {
    const [theirs, ours] = await inTurns(
      rounds,
      () => native.load(work),
      () => loadProvider(provider, work),
    );
    const name = `${work.method} at ${work.callers}`;
    yield show(`${name}: p50 of the native plugin`, "ms", p50(theirs));
    yield* beside("native plugin", name, ours, theirs, show);
    yield show(`${name}: CPU a call of the native plugin`, "us", cpu(theirs));
    yield show(`${name}: CPU a call / native plugin`, "x", ratios(cpu(ours), cpu(theirs)));
  }
  yield show("resident memory of the native plugin", "MiB", [residentMib(native.pid)]);
}

/** kube-apiserver has no bound of its own: every reader of a cold cache asks at once. */
async function* manyCallers({ provider, rounds }: Subject, show: Show): Figures {
  const failed: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    failed.push((await loadCounting(provider, workOf("Decrypt", 1000, 4000))).failed);
  }
  yield show("1,000 callers, 3 s each: failed of 4,000", "calls", failed, { atMost: 0 });
}

/** Both ratios of rounds that were made in turns. */
function* beside(
  other: "direct" | "native plugin",
  name: string,
  ours: readonly LoadResult[],
  theirs: readonly LoadResult[],
  show: Show,
  targets: Readonly<Partial<Record<"p50" | "rate" | "rateJitOn", Target | undefined>>> = {},
): Generator<Figure, void, undefined> {
  yield show(`${name}: p50 / ${other}`, "x", ratios(p50(ours), p50(theirs)), targets.p50);
  const rates = ratios(rate(ours), rate(theirs));
  yield show(`${name}: throughput / ${other}`, "x", rates, targets.rate, targets.rateJitOn);
}

function workOf(method: Work["method"], callers: number, calls: number): Work {
  return { method, callers, calls: Math.ceil(calls), distinct: DISTINCT_CIPHERTEXTS };
}

const p50 = (results: readonly LoadResult[]): number[] => results.map((each) => each.p50Ms);
const p99 = (results: readonly LoadResult[]): number[] => results.map((each) => each.p99Ms);
const rate = (results: readonly LoadResult[]): number[] => results.map((each) => each.callsPerSecond);
const cpu = (results: readonly LoadResult[]): number[] => results.map((each) => each.cpuMicros);

/** Round by round. */
function ratios(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, index) => value / (b[index] ?? Number.NaN));
}
