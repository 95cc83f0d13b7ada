/** @module Ratios as horizontal bars: a small SVG with a title, an axis, and one group for each direction of better. */
import type { Figure } from "./figure.ts";

const ROW = 24;
const LABEL = 280;
const WIDTH = 860;
const RIGHT = 50;
const TOP = 52;
const TICK = 0.5;

export function chart(figures: readonly Figure[]): string {
  const isThroughput = ({ name }: Figure): boolean => name.includes("throughput");
  const groups = [
    { heading: "Latency (p50): shorter is better", figures: figures.filter((each) => !isThroughput(each)) },
    { heading: "Throughput: longer is better", figures: figures.filter(isThroughput) },
  ].filter((group) => group.figures.length > 0);
  const end = Math.ceil(Math.max(1, ...figures.map(({ max }) => max)) / TICK) * TICK;
  const x = (value: number): number => LABEL + (value / end) * (WIDTH - LABEL - RIGHT);
  const bottom = TOP + (figures.length + groups.length) * ROW + 4;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 42}" font-family="sans-serif" font-size="12">
<title>Calls through the provider, compared with a direct call to Transit</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="16" y="22" font-size="15" font-weight="bold">Calls through the provider, compared with a direct call to Transit</text>
<text x="16" y="40" fill="#555">Bar: median of the rounds. Line: range of all rounds. Dashed: the direct call.</text>
${axis(end, x, bottom)}
${rows(groups, x).join("\n")}
</svg>
`;
}

function axis(end: number, x: (value: number) => number, bottom: number): string {
  const ticks = Array.from({ length: Math.round(end / TICK) + 1 }, (_, index) => index * TICK);
  return [
    ...ticks.map((value) => {
      const at = x(value).toFixed(1);
      const style = value === 1 ? 'stroke="#c33" stroke-dasharray="4 3"' : 'stroke="#ddd"';
      return `<line x1="${at}" x2="${at}" y1="${TOP}" y2="${bottom}" ${style}/>
<text x="${at}" y="${bottom + 16}" text-anchor="middle">${value.toFixed(1)}</text>`;
    }),
    `<text x="${x(end / 2).toFixed(1)}" y="${bottom + 34}" text-anchor="middle">ratio to the direct call in the same round</text>`,
  ].join("\n");
}

function rows(
  groups: readonly { readonly heading: string; readonly figures: readonly Figure[] }[],
  x: (value: number) => number,
): readonly string[] {
  let y = TOP;
  return groups.flatMap(({ heading, figures }) => {
    const title = `<text x="16" y="${y + 16}" font-weight="bold">${heading}</text>`;
    y += ROW;
    return [
      title,
      ...figures.map(({ name, median, min, max }) => {
        const top = y;
        y += ROW;
        return [
          `<text x="${LABEL - 8}" y="${top + 12}" text-anchor="end">${name.replace(/ \/ direct$/, "")}</text>`,
          `<rect x="${LABEL}" y="${top + 2}" width="${(x(median) - LABEL).toFixed(1)}" height="12" fill="#4878a8"/>`,
          `<line x1="${x(min).toFixed(1)}" x2="${x(max).toFixed(1)}" y1="${top + 8}" y2="${top + 8}" stroke="#222"/>`,
          `<text x="${(x(max) + 6).toFixed(1)}" y="${top + 12}">${median.toFixed(2)}</text>`,
        ].join("\n");
      }),
    ];
  });
}
