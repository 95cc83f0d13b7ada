/** @module The recorders that layers are given, and the page that Prometheus scrapes. */
import {
  DURATION_BUCKETS,
  type LabelsOf,
  METRIC_PREFIX,
  METRICS,
  type MetricKey,
  type MetricRow,
} from "./metric-table.ts";
import { PROCESS_FAMILIES } from "./process-metrics.ts";
import { CONTENT_TYPE, type Family, renderPage, type Sample } from "./text-format.ts";

interface CounterRecorder<Labels> {
  increment(labels: Labels): void;
}

interface HistogramRecorder<Labels> {
  observe(labels: Labels, seconds: number): void;
}

interface GaugeRecorder<Labels> {
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
  readonly render: () => string;
}

/** Counters with at most this many combinations of labels start at zero, so that a rate exists before the first event. */
const MAX_ZEROED_SERIES = 8;

/** Makes all recorders and their page; nothing is shared between two calls. */
export function createMetrics(): { readonly metrics: Metrics; readonly page: MetricsPage } {
  const page: Family[] = [...PROCESS_FAMILIES];
  const metrics: Metrics = {
    grpcRequests: counterOf(METRICS.grpcRequests, page),
    grpcDuration: histogramOf(METRICS.grpcDuration, page),
    grpcWait: histogramOf(METRICS.grpcWait, page),
    grpcInFlight: gaugeOf(METRICS.grpcInFlight, page),
    grpcConcurrencyRejections: counterOf(METRICS.grpcConcurrencyRejections, page),
    openbaoRequests: counterOf(METRICS.openbaoRequests, page),
    openbaoDuration: histogramOf(METRICS.openbaoDuration, page),
    authLogin: counterOf(METRICS.authLogin, page),
    authRenewal: counterOf(METRICS.authRenewal, page),
    authMethodInfo: gaugeOf(METRICS.authMethodInfo, page),
    certificateSourceInfo: gaugeOf(METRICS.certificateSourceInfo, page),
    tokenTtl: gaugeOf(METRICS.tokenTtl, page),
    certificateTtl: gaugeOf(METRICS.certificateTtl, page),
    credentialTtl: gaugeOf(METRICS.credentialTtl, page),
    secretIdUses: gaugeOf(METRICS.secretIdUses, page),
    statusKeyIdHash: gaugeOf(METRICS.statusKeyIdHash, page),
    keyVersion: gaugeOf(METRICS.keyVersion, page),
    statusCacheAge: gaugeOf(METRICS.statusCacheAge, page),
    transitMetadataObservation: counterOf(METRICS.transitMetadataObservation, page),
    rotationState: gaugeOf(METRICS.rotationState, page),
    registryOrigin: gaugeOf(METRICS.registryOrigin, page),
    aadValidationErrors: counterOf(METRICS.aadValidationErrors, page),
    decryptKeyIdErrors: counterOf(METRICS.decryptKeyIdErrors, page),
    circuitBreakerState: gaugeOf(METRICS.circuitBreakerState, page),
    panicRecoveries: counterOf(METRICS.panicRecoveries, page),
    socketRestarts: counterOf(METRICS.socketRestarts, page),
    buildInfo: gaugeOf(METRICS.buildInfo, page),
  };
  return { metrics, page: { contentType: CONTENT_TYPE, render: () => renderPage(page) } };
}

type PlainLabels = Readonly<Record<string, string>>;

function familyOf(row: MetricRow, samples: Family["samples"]): Family {
  return { name: nameOf(row), type: row.type, help: row.help, samples };
}

function nameOf({ name }: MetricRow): string {
  return METRIC_PREFIX + name;
}

function counterOf<Labels extends PlainLabels>(row: MetricRow, page: Family[]): CounterRecorder<Labels> {
  const series = new SeriesOf(row, (labels) => ({ labels, value: 0 }));
  const closed = combinations(row);
  if (closed.length <= MAX_ZEROED_SERIES) {
    for (const labels of closed) {
      series.at(labels);
    }
  }
  page.push(familyOf(row, () => series.all()));
  return {
    increment: (labels) => {
      series.at(labels).value += 1;
    },
  };
}

/** Durations of one series. */
interface Durations {
  readonly labels: PlainLabels;
  /** How many fell into each bucket and not into the one before; the last is for those above all bounds. */
  readonly counts: number[];
  sum: number;
}

function histogramOf<Labels extends PlainLabels>(row: MetricRow, page: Family[]): HistogramRecorder<Labels> {
  const series = new SeriesOf(
    row,
    (labels): Durations => ({ labels, counts: [...DURATION_BUCKETS, Infinity].map(() => 0), sum: 0 }),
  );
  page.push(familyOf(row, () => [...series.all()].flatMap((each) => samplesOf(nameOf(row), each))));
  return {
    observe: (labels, seconds) => {
      const durations = series.at(labels);
      const bucket = bucketOf(seconds);
      durations.counts[bucket] = (durations.counts[bucket] ?? 0) + 1;
      durations.sum += seconds;
    },
  };
}

/** The first bucket with a bound that is not below it; the last one has none. */
function bucketOf(seconds: number): number {
  let bucket = 0;
  for (const bound of DURATION_BUCKETS) {
    if (seconds <= bound) {
      return bucket;
    }
    bucket += 1;
  }
  return bucket;
}

/** A bucket's sample counts what fell into it and into all before it. */
function samplesOf(name: string, { labels, counts, sum }: Durations): readonly Sample[] {
  let count = 0;
  const buckets = counts.map((own, index): Sample => {
    count += own;
    const le = String(DURATION_BUCKETS[index] ?? "+Inf");
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: count };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}

function gaugeOf<Labels extends PlainLabels>(row: MetricRow, page: Family[]): GaugeRecorder<Labels> {
  const series = new SeriesOf(row, (labels) => ({ labels, value: 0 }));
  const closed = combinations(row);
  let read: (() => number | undefined) | undefined;
  const samples = (): Iterable<Sample> => {
    const value = read?.();
    return value === undefined ? series.all() : [{ labels: {}, value }];
  };
  page.push(familyOf(row, samples));
  const set = (labels: PlainLabels, value: number): void => {
    series.at(labels).value = value;
  };
  return {
    set,
    add: (labels, delta) => {
      series.at(labels).value += delta;
    },
    show: (labels) => {
      series.clear();
      for (const other of closed) {
        set(other, 0);
      }
      set(labels, 1);
    },
    readAtScrape: (next) => {
      read = next;
    },
  };
}

/** The series of one metric, each made at its first use. */
class SeriesOf<Series> {
  readonly #firstName: string;
  readonly #otherNames: readonly string[];
  readonly #make: (labels: PlainLabels) => Series;
  readonly #known = new Map<string, Series>();

  constructor({ labels }: MetricRow, make: (labels: PlainLabels) => Series) {
    [this.#firstName = "", ...this.#otherNames] = Object.keys(labels);
    this.#make = make;
  }

  at(labels: PlainLabels): Series {
    let key = labels[this.#firstName] ?? "";
    for (const name of this.#otherNames) {
      key += `\n${labels[name]}`;
    }
    let found = this.#known.get(key);
    if (found === undefined) {
      found = this.#make({ ...labels });
      this.#known.set(key, found);
    }
    return found;
  }

  all(): Iterable<Series> {
    return this.#known.values();
  }

  clear(): void {
    this.#known.clear();
  }
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
