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
    description: "Callers at the same time",
  },
  socket: {
    kind: "text",
    placeholder: "SOCKET",
    description: "The provider's socket, to measure through it too",
  },
  ...outputOption,
} as const;

/** The values of a command line. */
export type BenchmarkFlags = ValuesOf<typeof benchmarkOptions>;

export const benchmarkCommand = defineCommand({
  name: "benchmark",
  summary: "Measure latency to Transit, and through the provider beside it",
  description: [
    "Encrypts and decrypts a marker that is no secret, directly through Transit with a token of its own and, with --socket, through the running provider, in turns within one run. Prints percentiles and a histogram of each, and the ratio of the medians.",
  ],
  options: benchmarkOptions,
  examples: ["benchmark --config config.yaml --socket /run/openbao-kms/kms.sock"],
  run: async (flags, context) => {
    const { benchmark } = await import("./run.ts");
    return benchmark(flags, context);
  },
});
