/** @module The declaration of `benchmark`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { count, text } from "../../cli/option.ts";
import { configOption, outputOption } from "../shared-options.ts";

export const benchmarkCommand = {
  name: "benchmark",
  summary: "Measure the latency of Transit and of the provider",
  description: [
    "Encrypts and decrypts a marker, which is not secret: directly through Transit with its own token and, with --socket, through the running provider, alternating within one run. Prints percentiles and a histogram of each, and the ratio of the medians.",
  ],
  options: {
    ...configOption,
    iterations: { ...count("N", "Calls of each kind", 1, 1_000_000), default: 200 },
    concurrency: { ...count("C", "Concurrent callers", 1, 64), default: 1 },
    socket: text("SOCKET", "Also measure through this socket of the provider"),
    ...outputOption,
  },
  examples: ["benchmark --config config.yaml --socket /run/openbao-kms/kms.sock"],
} as const satisfies Declaration;

export type BenchmarkFlags = FlagsOf<typeof benchmarkCommand>;
