/**
 * @module Metrics about the process itself, under the names that Prometheus clients share.
 * @see https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
 */
import { readdirSync, readFileSync } from "node:fs";
import type { Family, Sample } from "./text-format.ts";

export const PROCESS_METRICS: readonly Family[] = [
  processMetric("process_cpu_seconds_total", "counter", "Processor time used, in seconds.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  }),
  processMetric("process_resident_memory_bytes", "gauge", "Resident memory, in bytes.", () =>
    process.memoryUsage.rss(),
  ),
  processMetric(
    "process_start_time_seconds",
    "gauge",
    "When the process started, in seconds since 1970.",
    () => Math.round(performance.timeOrigin / 1000),
  ),
  processMetric(
    "process_open_fds",
    "gauge",
    "Open file descriptors.",
    () => readdirSync("/proc/self/fd").length,
  ),
  processMetric("process_max_fds", "gauge", "The most file descriptors that may be open.", () => {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
    return limit === undefined ? undefined : Number(limit);
  }),
];

/** A metric that the platform does not tell is left out. */
function processMetric(
  name: string,
  type: "counter" | "gauge",
  help: string,
  read: () => number | undefined,
): Family {
  const samples = (): readonly Sample[] => {
    try {
      const value = read();
      return value === undefined ? [] : [{ labels: {}, value }];
    } catch {
      return [];
    }
  };
  return { name, type, help, samples };
}
