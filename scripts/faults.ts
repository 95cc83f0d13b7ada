/**
 * @module Causes every fault of test/faults for real and writes down what was seen: `bun scripts/faults.ts`.
 *
 * --short             each fault only as long as it takes to see it (CI runs these in test/faults/faults.test.ts)
 * --cluster           etcd and kube-apiserver too, with objects written and read all the time
 * --only ID,ID        these rows
 * --out FILE          the result as JSON
 * --record            the result into docs/reliability.json, and the table of docs/reliability.md made from it; with --only
 *                     these rows replace those of the last recording
 *
 * Exit code 1 when a row is broken.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import manifest from "../package.json";
import type { FaultReport, FaultResult } from "../test/faults/fault.ts";
import { readReport, renderReliabilityPage } from "../test/faults/reliability-page.ts";
import { runFault } from "../test/faults/run-fault.ts";
import { FAULTS, inRunOrder } from "../test/faults/table.ts";
import { makeWorld, type World } from "../test/faults/world.ts";
import { needBinary } from "../test/harness/real-suite.ts";
import { root, runScript, shortCommit, writeJson } from "./run-script.ts";

const { values } = parseArgs({
  options: {
    short: { type: "boolean", default: false },
    cluster: { type: "boolean", default: false },
    only: { type: "string" },
    out: { type: "string" },
    record: { type: "boolean", default: false },
  },
});

function show(done: number, all: number, result: FaultResult, seconds: number): void {
  const place = `${String(done).padStart(2)}/${all}`;
  console.log(
    `${place}  ${result.verdict.padEnd(6)}  ${result.id.padEnd(30)} ${seconds.toFixed(1).padStart(6)} s, back in ${result.recoveryMs} ms`,
  );
  for (const problem of result.problems) {
    console.log(`         ${problem}`);
  }
}

async function runAll(world: World): Promise<FaultReport> {
  const only = values.only?.split(",");
  const chosen = FAULTS.filter(
    ({ fault }) => only?.includes(fault.id) ?? !(values.short && fault.long === true),
  );
  const startedAt = new Date();
  const results: FaultResult[] = [];
  for (const { group, fault } of inRunOrder(chosen)) {
    const began = performance.now();
    const result = await runFault(world, group, fault, { long: !values.short });
    results.push(result);
    show(results.length, chosen.length, result, (performance.now() - began) / 1000);
  }
  await world.cluster?.coldStart();
  const lost = [...(await world.load.verify()), ...((await world.cluster?.verify()) ?? [])];
  console.log(
    `${world.load.count()} ciphertexts and ${world.cluster?.count() ?? 0} objects, ${lost.length} lost`,
  );
  if (lost.length > 0) {
    throw new Error(lost.slice(0, 5).join("\n"));
  }
  return {
    version: manifest.version,
    commit: shortCommit(),
    startedAt: startedAt.toISOString(),
    seconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
    cluster: world.cluster !== undefined,
    ciphertexts: world.load.count(),
    objects: world.cluster?.count() ?? 0,
    results: inTableOrder(results),
  };
}

/** Rows that were run again take the place of the older ones; everything else that is counted adds up. */
function mergeReports(older: FaultReport, newer: FaultReport): FaultReport {
  const again = new Set(newer.results.map(({ id }) => id));
  return {
    ...newer,
    seconds: older.seconds + newer.seconds,
    ciphertexts: older.ciphertexts + newer.ciphertexts,
    objects: Math.max(older.objects, newer.objects),
    results: inTableOrder([...older.results.filter(({ id }) => !again.has(id)), ...newer.results]),
  };
}

function inTableOrder(results: readonly FaultResult[]): FaultResult[] {
  return FAULTS.flatMap(({ fault }) => results.filter(({ id }) => id === fault.id));
}

async function main(): Promise<number> {
  const world = await makeWorld({
    bao: needBinary("bao"),
    ...(values.cluster
      ? { cluster: { etcd: needBinary("etcd"), kubeApiServer: needBinary("kube-apiserver") } }
      : {}),
  });
  let end: Promise<void> | undefined;
  const dispose = (): Promise<void> => (end ??= world.dispose());
  process.once("SIGINT", () => void dispose().finally(() => process.exit(5)));
  try {
    const report = await runAll(world);
    writeJson(values.out, report);
    if (values.record) {
      const recorded = values.only === undefined ? report : mergeReports(readReport(root), report);
      writeJson(join(root, "docs", "reliability.json"), recorded);
      renderReliabilityPage(root);
    }
    const broken = report.results.filter(({ verdict }) => verdict === "broken");
    console.log(
      `${report.results.length - broken.length} rows held, ${broken.length} broken, ${report.seconds} s`,
    );
    return broken.length === 0 ? 0 : 1;
  } finally {
    await dispose();
  }
}

runScript("faults", main);
