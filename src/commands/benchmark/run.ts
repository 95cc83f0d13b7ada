/** @module `benchmark`: Encrypt and Decrypt of a known marker, directly through Transit and through the provider, in turns. */
import { randomUUID } from "node:crypto";
import { buildInfo } from "../../base/build-info.ts";
import { systemClock } from "../../base/clock.ts";
import type { CommandContext } from "../../cli/command.ts";
import { UsageError } from "../../cli/errors.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { printReport, textTable } from "../../cli/output.ts";
import { progressBar } from "../../cli/progress.ts";
import { activeVersion } from "../../key/registry/record.ts";
import { handleMaker } from "../../key/rotation/key-handles.ts";
import { MARKER, makeMarker } from "../../key/rotation/marker.ts";
import { openKmsClient } from "../../kms/client.ts";
import { inspectKey, type KeyInspection } from "../key-inspection.ts";
import type { BenchmarkFlags } from "./command.ts";
import { bucketsOf, type Measurement, measure, statisticsOf, type TimedCall } from "./measure.ts";

const CALL_TIMEOUT_MS = 10_000;
const BAR_WIDTH = 40;

export function benchmark(flags: BenchmarkFlags, context: CommandContext): Promise<ExitName> {
  return inspectKey(flags, context, async (inspection) => {
    const { output, signal } = context;
    const client =
      flags.socket === undefined
        ? undefined
        : openKmsClient({ socketPath: flags.socket, timeoutMs: CALL_TIMEOUT_MS, uid: randomUUID });
    const progress = progressBar(output, systemClock);
    try {
      const calls = await directCalls(inspection, signal);
      if (client !== undefined) {
        const sealed = await client.encrypt(MARKER, signal);
        calls.push(
          { name: "provider status", call: (each) => client.status(each) },
          { name: "provider encrypt", call: (each) => client.encrypt(MARKER, each) },
          { name: "provider decrypt", call: (each) => client.decrypt(sealed, each) },
        );
      }
      const { iterations, concurrency } = flags;
      const monotonicMs = (): number => systemClock.monotonicMs();
      const onRound = (done: number): void => progress("benchmark", done, iterations);
      const results = await measure(calls, { iterations, concurrency, monotonicMs, onRound }, signal);
      printReport(output, flags.output, reportLines(flags, results), reportJson(flags, results));
      return results.some(({ failures }) => failures > 0) ? "refused" : "good";
    } finally {
      client?.close();
    }
  });
}

async function directCalls(
  { openbao, state, identity }: KeyInspection,
  signal: AbortSignal,
): Promise<TimedCall[]> {
  if (openbao.kind === "unasked") {
    throw openbao.error;
  }
  const { access, answer } = openbao;
  const version =
    state.kind === "found"
      ? activeVersion(state.stored.record)
      : answer.kind === "key"
        ? answer.key.versions.at(-1)
        : undefined;
  if (version === undefined) {
    throw new UsageError(
      "there is no version of the key to measure with",
      "bao-kms-provider doctor --config FILE",
    );
  }
  const { transit } = access;
  const handle = handleMaker(identity, buildInfo.version).handleOf(version);
  const { associatedData } = handle;
  const ciphertext = await makeMarker(transit, handle, signal);
  const input = { plaintext: MARKER, associatedData, keyVersion: handle.version };
  return [
    { name: "direct encrypt", call: (each) => transit.encrypt(input, each) },
    { name: "direct decrypt", call: (each) => transit.decrypt({ ciphertext, associatedData }, each) },
  ];
}

function overheads(results: readonly Measurement[]): Readonly<Record<string, number>> {
  const median = (name: string): number | undefined =>
    statisticsOf(results.find((each) => each.name === name)?.samplesMs ?? [])?.p50Ms;
  return Object.fromEntries(
    ["encrypt", "decrypt"].flatMap((method) => {
      const [direct, provider] = [median(`direct ${method}`), median(`provider ${method}`)];
      return direct === undefined || provider === undefined ? [] : [[method, provider / direct]];
    }),
  );
}

function reportJson({ iterations, concurrency }: BenchmarkFlags, results: readonly Measurement[]) {
  const reported = results.map(({ name, samplesMs, failures }) => {
    const latency = statisticsOf(samplesMs) ?? null;
    return { name, failures, latency, histogram: bucketsOf(samplesMs) };
  });
  return { iterations, concurrency, overhead: overheads(results), results: reported };
}

function reportLines({ iterations, concurrency }: BenchmarkFlags, results: readonly Measurement[]) {
  return [
    `${iterations} calls of each kind in turns, ${concurrency} at a time; milliseconds`,
    "",
    ...textTable(["", "calls", "failed", "min", "p50", "p90", "p99", "max"], results.map(tableRow)),
    ...results.flatMap(histogramLines),
    "",
    ...Object.entries(overheads(results)).map(
      ([method, ratio]) => `through the provider, ${method} takes ${ratio.toFixed(2)} times as long (p50)`,
    ),
  ];
}

function tableRow({ name, samplesMs, failures }: Measurement): readonly string[] {
  const found = statisticsOf(samplesMs);
  const times = found === undefined ? [] : [found.minMs, found.p50Ms, found.p90Ms, found.p99Ms, found.maxMs];
  return [name, String(samplesMs.length), String(failures), ...times.map((ms) => ms.toFixed(2))];
}

function histogramLines({ name, samplesMs }: Measurement): readonly string[] {
  const buckets = bucketsOf(samplesMs);
  const most = Math.max(...buckets.map(({ count }) => count), 1);
  return [
    "",
    name,
    ...buckets.map(
      ({ fromMs, count }) =>
        `  ${fromMs.toFixed(2).padStart(8)} ms  ${"█".repeat(Math.ceil((count / most) * BAR_WIDTH))}${count === 0 ? "" : ` ${count}`}`,
    ),
  ];
}
