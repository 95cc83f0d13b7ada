/**
 * @module Loaded before the tests (`bun test --preload`), it bounds each property by FUZZ_PROPERTY_RUNS and FUZZ_PROPERTY_MS.
 * FUZZ_SEED repeats a run, FUZZ_REPORT is the file that gets one line of JSON for each property.
 */
import { mock } from "bun:test";
import { appendFileSync } from "node:fs";
import { relative } from "node:path";
import * as fastCheck from "fast-check";

const runs = Number(process.env["FUZZ_PROPERTY_RUNS"]);
const timeMs = Number(process.env["FUZZ_PROPERTY_MS"]);
const seed = process.env["FUZZ_SEED"];
const reportFile = process.env["FUZZ_REPORT"] ?? "/dev/null";

/** Bound before the module is replaced by one that calls this. */
const { check, defaultReportMessage } = fastCheck;

function callingTest(): string {
  const frame = /\(?([^()\s]+\.test\.ts):(\d+)/.exec(new Error("where").stack ?? "");
  return frame === null ? "unknown" : `${relative(process.cwd(), frame[1] ?? "")}:${frame[2]}`;
}

function judge<T>(where: string, details: fastCheck.RunDetails<T>): void {
  const { numRuns, failed, interrupted } = details;
  appendFileSync(
    reportFile,
    `${JSON.stringify({ where, inputs: numRuns, failed: failed && !interrupted, seed: details.seed })}\n`,
  );
  if (failed) {
    throw new Error(defaultReportMessage(details));
  }
}

function assert<T>(
  property: fastCheck.IRawProperty<T>,
  parameters: fastCheck.Parameters<T> = {},
): Promise<void> | void {
  const where = callingTest();
  const outcome = check(property, {
    ...parameters,
    numRuns: runs,
    interruptAfterTimeLimit: timeMs,
    markInterruptAsFailure: false,
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  });
  return outcome instanceof Promise
    ? outcome.then((details) => judge(where, details))
    : judge(where, outcome);
}

const changed = { ...fastCheck, assert };
await mock.module("fast-check", () => ({ ...changed, default: { ...fastCheck.default, assert } }));
