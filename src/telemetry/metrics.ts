/**
 * The recorders that layers are given, and the page that Prometheus scrapes.
 *
 * @module Wraps prom-client so that each metric of the table has a recorder whose labels are typed; knows no metric by name.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import {
  DURATION_BUCKETS,
  type LabelsOf,
  METRIC_PREFIX,
  METRICS,
  type MetricKey,
  type MetricRow,
} from "./metric-table.ts";
import { registerProcessMetrics } from "./process-metrics.ts";

export interface CounterRecorder<Labels> {
  increment(labels: Labels): void;
}

export interface HistogramRecorder<Labels> {
  observe(labels: Labels, seconds: number): void;
}

export interface GaugeRecorder<Labels> {
  set(labels: Labels, value: number): void;
  add(labels: Labels, delta: number): void;
  /** 1 for these labels and 0, or nothing where the values are open, for all others: for metrics that name a state. */
  show(labels: Labels): void;
  /** Asks for the value at each scrape; `undefined` leaves the metric out. Only for metrics without labels. */
  readAtScrape(read: () => number | undefined): void;
}

type RecorderOf<Key extends MetricKey> = (typeof METRICS)[Key]["type"] extends "counter"
  ? CounterRecorder<LabelsOf<Key>>
  : (typeof METRICS)[Key]["type"] extends "histogram"
    ? HistogramRecorder<LabelsOf<Key>>
    : GaugeRecorder<LabelsOf<Key>>;

/** One recorder for each row of the table. */
export type Metrics = { readonly [Key in MetricKey]: RecorderOf<Key> };

export interface MetricsPage {
  readonly contentType: string;
  /** The page in the Prometheus text format. */
  readonly render: () => Promise<string>;
}

/** Counters with at most this many combinations of labels start at zero, so that a rate exists before the first event. */
const MAX_ZEROED_SERIES = 8;

/** Makes all recorders over a registry of their own; nothing is shared between two calls. */
export function createMetrics(): { readonly metrics: Metrics; readonly page: MetricsPage } {
  const registry = new Registry();
  registerProcessMetrics(registry);
  const metrics: Metrics = {
    grpcRequests: counterOf(METRICS.grpcRequests, registry),
    grpcDuration: histogramOf(METRICS.grpcDuration, registry),
    grpcInFlight: gaugeOf(METRICS.grpcInFlight, registry),
    grpcConcurrencyRejections: counterOf(METRICS.grpcConcurrencyRejections, registry),
    openbaoRequests: counterOf(METRICS.openbaoRequests, registry),
    openbaoDuration: histogramOf(METRICS.openbaoDuration, registry),
    authLogin: counterOf(METRICS.authLogin, registry),
    authRenewal: counterOf(METRICS.authRenewal, registry),
    authMethodInfo: gaugeOf(METRICS.authMethodInfo, registry),
    certificateSourceInfo: gaugeOf(METRICS.certificateSourceInfo, registry),
    tokenTtl: gaugeOf(METRICS.tokenTtl, registry),
    certificateTtl: gaugeOf(METRICS.certificateTtl, registry),
    credentialTtl: gaugeOf(METRICS.credentialTtl, registry),
    secretIdUses: gaugeOf(METRICS.secretIdUses, registry),
    statusKeyIdHash: gaugeOf(METRICS.statusKeyIdHash, registry),
    keyVersion: gaugeOf(METRICS.keyVersion, registry),
    statusCacheAge: gaugeOf(METRICS.statusCacheAge, registry),
    transitMetadataObservation: counterOf(METRICS.transitMetadataObservation, registry),
    rotationState: gaugeOf(METRICS.rotationState, registry),
    aadValidationErrors: counterOf(METRICS.aadValidationErrors, registry),
    decryptKeyIdErrors: counterOf(METRICS.decryptKeyIdErrors, registry),
    circuitBreakerState: gaugeOf(METRICS.circuitBreakerState, registry),
    panicRecoveries: counterOf(METRICS.panicRecoveries, registry),
    socketRestarts: counterOf(METRICS.socketRestarts, registry),
    buildInfo: gaugeOf(METRICS.buildInfo, registry),
  };
  return { metrics, page: { contentType: registry.contentType, render: () => registry.metrics() } };
}

/** Labels as prom-client takes them. */
type PlainLabels = Readonly<Record<string, string>>;

function configuration({ name, help, labels }: MetricRow, registry: Registry) {
  return { name: METRIC_PREFIX + name, help, labelNames: Object.keys(labels), registers: [registry] };
}

function counterOf<Labels extends PlainLabels>(row: MetricRow, registry: Registry): CounterRecorder<Labels> {
  const counter: Counter = new Counter({ ...configuration(row, registry), collect: () => sums.settle() });
  const sums = pendingSums(row, (labels, sum) => counter.inc(labels, sum));
  const series = combinations(row);
  if (series.length <= MAX_ZEROED_SERIES) {
    for (const labels of series) {
      counter.inc(labels, 0);
    }
  }
  return { increment: (labels) => sums.add(labels, 1) };
}

function histogramOf<Labels extends PlainLabels>(
  row: MetricRow,
  registry: Registry,
): HistogramRecorder<Labels> {
  const histogram = new Histogram({ ...configuration(row, registry), buckets: [...DURATION_BUCKETS] });
  const seriesOf = remembered(row, (labels) => histogram.labels(labels));
  return { observe: (labels, seconds) => seriesOf(labels).observe(seconds) };
}

function gaugeOf<Labels extends PlainLabels>(row: MetricRow, registry: Registry): GaugeRecorder<Labels> {
  const closed = combinations(row);
  let read: (() => number | undefined) | undefined;
  const gauge: Gauge = new Gauge({
    ...configuration(row, registry),
    collect: () => {
      sums.settle();
      if (read === undefined) {
        return;
      }
      const value = read();
      if (value === undefined) {
        gauge.remove({});
      } else {
        gauge.set(value);
      }
    },
  });
  const sums = pendingSums(row, (labels, sum) => gauge.inc(labels, sum));
  if (Object.keys(row.labels).length === 0) {
    // prom-client shows a gauge without labels as 0 from the start; a TTL of 0 would be a false alarm.
    gauge.remove({});
  }
  return {
    set: (labels, value) => gauge.set(labels, value),
    add: (labels, delta) => sums.add(labels, delta),
    show: (labels) => {
      gauge.reset();
      for (const other of closed) {
        gauge.set(other, 0);
      }
      gauge.set(labels, 1);
    },
    readAtScrape: (next) => {
      read = next;
    },
  };
}

/** What belongs to each series of a metric, made at its first use: prom-client checks and hashes labels at every call. */
function remembered<Of>(
  { labels: named }: MetricRow,
  make: (labels: PlainLabels) => Of,
): (labels: PlainLabels) => Of {
  const names = Object.keys(named);
  const known = new Map<string, Of>();
  return (labels) => {
    let key = "";
    for (const name of names) {
      key += `${labels[name]}\n`;
    }
    let found = known.get(key);
    if (found === undefined) {
      found = make({ ...labels });
      known.set(key, found);
    }
    return found;
  };
}

interface PendingSums {
  add(labels: PlainLabels, amount: number): void;
  /** Gives prom-client what was added since the last scrape. */
  settle(): void;
}

/** Additions cost a number while nobody looks, and reach prom-client when the page is rendered. */
function pendingSums(row: MetricRow, settle: (labels: PlainLabels, sum: number) => void): PendingSums {
  const pending: { readonly labels: PlainLabels; sum: number }[] = [];
  const seriesOf = remembered(row, (labels) => {
    const series = { labels, sum: 0 };
    pending.push(series);
    return series;
  });
  return {
    add: (labels, amount) => {
      seriesOf(labels).sum += amount;
    },
    settle: () => {
      for (const series of pending) {
        settle(series.labels, series.sum);
        series.sum = 0;
      }
    },
  };
}

/** Every combination of label values; none when a label's values are not known beforehand. */
function combinations({ labels }: MetricRow): readonly PlainLabels[] {
  let series: readonly PlainLabels[] = [{}];
  for (const [name, values] of Object.entries(labels)) {
    series = series.flatMap((each) => (values ?? []).map((value) => withLabel(each, name, value)));
  }
  return series;
}

function withLabel(labels: PlainLabels, name: string, value: string): PlainLabels {
  return { ...labels, [name]: value };
}
