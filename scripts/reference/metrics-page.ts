/** @module docs/reference/metrics.md, from the metric table. */
import { createMetrics } from "../../src/telemetry/metric-table.ts";
import { PROCESS_METRICS } from "../../src/telemetry/process-metrics.ts";
import { DURATION_BUCKETS } from "../../src/telemetry/recorders.ts";
import { code, GENERATED, table } from "./markdown.ts";

export function metricsPage(): string {
  const { rows } = createMetrics();
  return `# Metrics
${GENERATED}

Served as Prometheus text on \`server.metricsAddress\` under \`/metrics\`. Every label has a closed set of values: none
contains a path, a key name, a uid or the text of an error. The provider's own deep probe does not count as traffic.

${table(
  ["metric", "type", "labels", "meaning"],
  rows.map(({ name, type, labels, help }) => [
    code(name),
    type,
    Object.keys(labels).map(code).join(", "),
    help,
  ]),
)}

Histograms have the buckets ${DURATION_BUCKETS.join(", ")} (seconds).

## Values of labels

${table(
  ["metric", "label", "values"],
  rows.flatMap(({ name, labels }) =>
    Object.entries(labels).map(([label, values]) => [
      code(name),
      code(label),
      values === undefined ? "one at a time" : values.map(code).join(" "),
    ]),
  ),
)}

## The process

${table(
  ["metric", "type", "meaning"],
  PROCESS_METRICS.map(({ name, type, help }) => [code(name), type, help]),
)}
`;
}
