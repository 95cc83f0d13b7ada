/**
 * @module The Prometheus text format.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** One line of the page. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Only where it differs from the family's name, as for a histogram's bucket. */
  readonly metricName?: string;
}

/** One metric with its samples at the time of a scrape. */
export interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: () => Iterable<Sample>;
}

export function renderPage(families: readonly Family[]): string {
  return `${families.map(renderFamily).join("\n\n")}\n`;
}

function renderFamily({ name, type, help, samples }: Family): string {
  const lines = [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`];
  for (const { labels, value, metricName = name } of samples()) {
    lines.push(`${metricName}${renderLabels(labels)} ${renderValue(value)}`);
  }
  return lines.join("\n");
}

function renderLabels(labels: Sample["labels"]): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

/** NaN, +Inf and -Inf are the format's own words. */
function renderValue(value: number): string {
  return Math.abs(value) === Number.POSITIVE_INFINITY ? (value > 0 ? "+Inf" : "-Inf") : String(value);
}

function escapeHelp(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
