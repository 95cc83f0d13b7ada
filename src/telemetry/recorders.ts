/** @module What records the values of one metric, and gives them as samples of the page. */
import type { Family, Sample } from "./text-format.ts";

type PlainLabels = Readonly<Record<string, string>>;

/** The values that a label can have; `undefined` for the few whose values we make ourselves, one at a time. */
export type LabelSets = Readonly<Record<string, readonly string[] | undefined>>;

export type LabelsOf<Sets extends LabelSets> = {
  readonly [Label in keyof Sets]: Sets[Label] extends readonly (infer Value extends string)[]
    ? Value
    : string;
};

/** A metric of the provider itself. */
export interface MetricRow extends Family {
  readonly labels: LabelSets;
}

type Declaration = Omit<MetricRow, "samples">;

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
  setOnly(labels: Labels): void;
  /** Asks for the value at each scrape; `undefined` leaves the metric out. Only for metrics without labels. */
  readAtScrape(read: () => number | undefined): void;
}

/** Counters with at most this many combinations of labels start at zero, so that a rate exists before the first event. */
const MAX_ZEROED_SERIES = 8;

/** Upper bounds in seconds: a Status answers in a fraction of a millisecond, a call to OpenBao may take its timeout. */
export const DURATION_BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;

export function counterOf<Labels extends PlainLabels>(
  row: Declaration,
  rows: MetricRow[],
): CounterRecorder<Labels> {
  const series = new SeriesOf(row, (labels) => ({ labels, value: 0 }));
  const closed = combinations(row);
  if (closed.length <= MAX_ZEROED_SERIES) {
    for (const labels of closed) {
      series.at(labels);
    }
  }
  rows.push({ ...row, samples: () => series.all() });
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

export function histogramOf<Labels extends PlainLabels>(
  row: Declaration,
  rows: MetricRow[],
): HistogramRecorder<Labels> {
  const series = new SeriesOf(
    row,
    (labels): Durations => ({ labels, counts: [...DURATION_BUCKETS, Infinity].map(() => 0), sum: 0 }),
  );
  rows.push({ ...row, samples: () => [...series.all()].flatMap((each) => samplesOf(row.name, each)) });
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
  const bucket = DURATION_BUCKETS.findIndex((bound) => seconds <= bound);
  return bucket === -1 ? DURATION_BUCKETS.length : bucket;
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

export function gaugeOf<Labels extends PlainLabels>(
  row: Declaration,
  rows: MetricRow[],
): GaugeRecorder<Labels> {
  const series = new SeriesOf(row, (labels) => ({ labels, value: 0 }));
  const closed = combinations(row);
  let read: (() => number | undefined) | undefined;
  const samples = (): Iterable<Sample> => {
    const value = read?.();
    return value === undefined ? series.all() : [{ labels: {}, value }];
  };
  rows.push({ ...row, samples });
  const set = (labels: PlainLabels, value: number): void => {
    series.at(labels).value = value;
  };
  return {
    set,
    add: (labels, delta) => {
      series.at(labels).value += delta;
    },
    setOnly: (labels) => {
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

  constructor({ labels }: Declaration, make: (labels: PlainLabels) => Series) {
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
function combinations({ labels }: Declaration): readonly PlainLabels[] {
  let series: readonly PlainLabels[] = [{}];
  for (const [name, values] of Object.entries(labels)) {
    series = series.flatMap((each) => (values ?? []).map((value) => withLabel(each, name, value)));
  }
  return series;
}

function withLabel(labels: PlainLabels, name: string, value: string): PlainLabels {
  return { ...labels, [name]: value };
}
