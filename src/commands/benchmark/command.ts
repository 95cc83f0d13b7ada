/** @module The declaration of `benchmark`; run.ts does the work. */
import { defineCommand } from "../../cli/command.ts";
import type { ValuesOf } from "../../cli/option.ts";
import { configOption, outputOption } from "../shared-options.ts";

const benchmarkOptions = {
  ...configOption,
  iterations: {
    kind: "count",
    placeholder: "N",
    default: 200,
    min: 1,
    max: 1_000_000,
    description: "Calls of each kind",
  },
  concurrency: {
    kind: "count",
    placeholder: "C",
    default: 1,
    min: 1,
    max: 64,
    description: "Concurrent callers",
  },
  socket: {
    kind: "text",
    placeholder: "SOCKET",
    description: "Also measure through this socket of the provider",
  },
  ...outputOption,
} as const;

export type BenchmarkFlags = ValuesOf<typeof benchmarkOptions>;

export const benchmarkCommand = defineCommand({
  name: "benchmark",
  summary: "Measure the latency of Transit and of the provider",
  description: [
    "Encrypts and decrypts a marker, which is not secret: directly through Transit with its own token and, with --socket, through the running provider, alternating within one run. Prints percentiles and a histogram of each, and the ratio of the medians.",
  ],
  options: benchmarkOptions,
  examples: ["benchmark --config config.yaml --socket /run/openbao-kms/kms.sock"],
  run: async (flags, context) => (await import("./run.ts")).benchmark(flags, context),
});
