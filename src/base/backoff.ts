/** @module The pause after a failure: it doubles from the first to the longest. */
export function backoffMs(firstMs: number, longestMs: number, failures: number): number {
  return Math.min(firstMs * 2 ** (failures - 1), longestMs);
}
