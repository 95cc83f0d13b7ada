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
    grpcRequests: counterOf("grpcRequests", registry),
    grpcDuration: histogramOf("grpcDuration", registry),
    grpcInFlight: gaugeOf("grpcInFlight", registry),
    grpcConcurrencyRejections: counterOf("grpcConcurrencyRejections", registry),
    openbaoRequests: counterOf("openbaoRequests", registry),
    openbaoDuration: histogramOf("openbaoDuration", registry),
    authLogin: counterOf("authLogin", registry),
    authRenewal: counterOf("authRenewal", registry),
    authMethodInfo: gaugeOf("authMethodInfo", registry),
    certificateSourceInfo: gaugeOf("certificateSourceInfo", registry),
    tokenTtl: gaugeOf("tokenTtl", registry),
    certificateTtl: gaugeOf("certificateTtl", registry),
    credentialTtl: gaugeOf("credentialTtl", registry),
    secretIdUses: gaugeOf("secretIdUses", registry),
    statusKeyIdHash: gaugeOf("statusKeyIdHash", registry),
    keyVersion: gaugeOf("keyVersion", registry),
    statusCacheAge: gaugeOf("statusCacheAge", registry),
    transitMetadataObservation: counterOf("transitMetadataObservation", registry),
    rotationState: gaugeOf("rotationState", registry),
    aadValidationErrors: counterOf("aadValidationErrors", registry),
    decryptKeyIdErrors: counterOf("decryptKeyIdErrors", registry),
    circuitBreakerState: gaugeOf("circuitBreakerState", registry),
    panicRecoveries: counterOf("panicRecoveries", registry),
    socketRestarts: counterOf("socketRestarts", registry),
    buildInfo: gaugeOf("buildInfo", registry),
  };
  return { metrics, page: { contentType: registry.contentType, render: () => registry.metrics() } };
}

/** Labels as prom-client takes them. */
type PlainLabels = Record<string, string>;

function configuration({ name, help, labels }: MetricRow, registry: Registry) {
  return { name: METRIC_PREFIX + name, help, labelNames: Object.keys(labels), registers: [registry] };
}

function counterOf<Key extends MetricKey>(key: Key, registry: Registry): CounterRecorder<LabelsOf<Key>> {
  const row: MetricRow = METRICS[key];
  const counter = new Counter(configuration(row, registry));
  const series = combinations(row);
  if (series.length <= MAX_ZEROED_SERIES) {
    for (const labels of series) {
      counter.inc(labels, 0);
    }
  }
  return { increment: (labels) => counter.inc(plain(labels)) };
}

function histogramOf<Key extends MetricKey>(key: Key, registry: Registry): HistogramRecorder<LabelsOf<Key>> {
  const histogram = new Histogram({
    ...configuration(METRICS[key], registry),
    buckets: [...DURATION_BUCKETS],
  });
  return { observe: (labels, seconds) => histogram.observe(plain(labels), seconds) };
}

function gaugeOf<Key extends MetricKey>(key: Key, registry: Registry): GaugeRecorder<LabelsOf<Key>> {
  const closed = combinations(METRICS[key]);
  let read: (() => number | undefined) | undefined;
  const gauge: Gauge = new Gauge({
    ...configuration(METRICS[key], registry),
    collect: () => {
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
  if (Object.keys(METRICS[key].labels).length === 0) {
    // prom-client shows a gauge without labels as 0 from the start; a TTL of 0 would be a false alarm.
    gauge.remove({});
  }
  return {
    set: (labels, value) => gauge.set(plain(labels), value),
    add: (labels, delta) => gauge.inc(plain(labels), delta),
    show: (labels) => {
      gauge.reset();
      for (const other of closed) {
        gauge.set(other, 0);
      }
      gauge.set(plain(labels), 1);
    },
    readAtScrape: (next) => {
      read = next;
    },
  };
}

function plain(labels: object): PlainLabels {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, String(value)]));
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
