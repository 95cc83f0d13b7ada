/**
 * Work that changes the same thing is done one piece at a time, in the order in which it was asked for.
 *
 * @module One function. A piece that fails holds up nobody behind it.
 */
export function inTurnQueue(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work, work);
    last = result.catch(() => {});
    return result;
  };
}
