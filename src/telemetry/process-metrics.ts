/**
 * @module Metrics about the process itself, under the names that Prometheus clients share.
 * @see https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
 */
import { readdirSync, readFileSync } from "node:fs";
import type { Family } from "./text-format.ts";

interface ProcessRow {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  /** `undefined` when the platform does not say. */
  readonly read: () => number | undefined;
}

export const PROCESS_METRICS: readonly ProcessRow[] = [
  {
    name: "process_cpu_seconds_total",
    type: "counter",
    help: "Processor time used, in seconds.",
    read: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  },
  {
    name: "process_resident_memory_bytes",
    type: "gauge",
    help: "Resident memory, in bytes.",
    read: () => process.memoryUsage.rss(),
  },
  {
    name: "process_start_time_seconds",
    type: "gauge",
    help: "When the process started, in seconds since 1970.",
    read: () => Math.round(performance.timeOrigin / 1000),
  },
  {
    name: "process_open_fds",
    type: "gauge",
    help: "Open file descriptors.",
    read: () => quietly(() => readdirSync("/proc/self/fd").length),
  },
  {
    name: "process_max_fds",
    type: "gauge",
    help: "The most file descriptors that may be open.",
    read: () =>
      quietly(() => {
        const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
        return limit === undefined ? undefined : Number(limit);
      }),
  },
];

/** A metric that the platform does not tell is left out. */
export const PROCESS_FAMILIES: readonly Family[] = PROCESS_METRICS.map(({ name, type, help, read }) => ({
  name,
  type,
  help,
  samples: () => {
    const value = read();
    return value === undefined ? [] : [{ labels: {}, value }];
  },
}));

function quietly<T>(read: () => T | undefined): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
