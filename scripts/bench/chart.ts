/**
 * Ratios as horizontal bars.
 *
 * @module A small SVG without a library: one bar and one whisker for each figure, and a line at 1, the direct call.
 */
import type { Figure } from "./figure.ts";

const ROW = 24;
const LABEL = 380;
const WIDTH = 860;
const MARGIN = 30;

export function chart(figures: readonly Figure[]): string {
  const longest = Math.max(1, ...figures.map(({ max }) => max));
  const x = (value: number): number => LABEL + (value / longest) * (WIDTH - LABEL - 60);
  const height = figures.length * ROW + MARGIN;
  const rows = figures.map(({ name, median, min, max }, index) => {
    const y = index * ROW + MARGIN;
    return [
      `<text x="${LABEL - 8}" y="${y + 12}" text-anchor="end">${name}</text>`,
      `<rect x="${LABEL}" y="${y + 2}" width="${(x(median) - LABEL).toFixed(1)}" height="12" fill="#4878a8"/>`,
      `<line x1="${x(min).toFixed(1)}" x2="${x(max).toFixed(1)}" y1="${y + 8}" y2="${y + 8}" stroke="#222"/>`,
      `<text x="${(x(max) + 6).toFixed(1)}" y="${y + 12}">${median.toFixed(2)}</text>`,
    ].join("\n");
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="${LABEL}" y="16">ratio to a direct Transit call in the same round: median, and the range of all rounds</text>
<line x1="${x(1).toFixed(1)}" x2="${x(1).toFixed(1)}" y1="${MARGIN - 6}" y2="${height}" stroke="#c33" stroke-dasharray="4 3"/>
${rows.join("\n")}
</svg>
`;
}
