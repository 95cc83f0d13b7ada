/** @module A progress bar on stderr, only where there is a terminal. */
import type { Clock } from "../base/clock.ts";
import { formatDuration } from "../base/duration.ts";
import type { Output } from "./output.ts";

const EVERY_MS = 200;
const WIDTH = 30;

/** Draws how far a piece of work is. `total` of 0: the end is not known. */
type Progress = (what: string, done: number, total: number) => void;

export function progressBar(output: Output, clock: Clock): Progress {
  let lastMs = Number.NEGATIVE_INFINITY;
  let startedMs = clock.monotonicMs();
  let current = "";
  return (what, done, total) => {
    const nowMs = clock.monotonicMs();
    if (what !== current) {
      current = what;
      startedMs = nowMs;
    }
    if (output.canShowProgress && nowMs - lastMs >= EVERY_MS) {
      lastMs = nowMs;
      output.progress(line(what, done, total, nowMs - startedMs));
    }
  };
}

function line(what: string, done: number, total: number, elapsedMs: number): string {
  if (total === 0) {
    return `${what}: ${done.toLocaleString("en-US")}`;
  }
  const share = Math.min(1, done / total);
  const filled = Math.round(share * WIDTH);
  const leftMs = share > 0.02 ? (elapsedMs * (1 - share)) / share : undefined;
  const left = leftMs === undefined ? "" : `, ${formatDuration(Math.ceil(leftMs / 1000) * 1000)} left`;
  return `${what} [${"█".repeat(filled)}${"·".repeat(WIDTH - filled)}] ${Math.floor(share * 100)} %${left}`;
}
