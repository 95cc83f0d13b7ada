/** @module The demo's output: one line per step, with the time it took. */
export interface Narrator {
  readonly chapter: (title: string) => void;
  readonly say: (line: string) => void;
  /** Does the work, then prints the line and the milliseconds. A function makes the line from the result. */
  readonly timed: <T>(line: string | ((result: T) => string), work: () => Promise<T>) => Promise<T>;
  readonly end: () => void;
}

const TIME_WIDTH = 9;

export function makeNarrator(
  print: (line: string) => void,
  now: () => number = () => performance.now(),
): Narrator {
  const began = now();
  let chapters = 0;
  const line = (ms: number | undefined, text: string): void =>
    print(`${(ms === undefined ? "" : milliseconds(ms)).padStart(TIME_WIDTH)}  ${text}`);
  return {
    chapter: (title) => {
      chapters += 1;
      print("");
      print(`${chapters}. ${title}`);
    },
    say: (text) => line(undefined, text),
    timed: async (text, work) => {
      const start = now();
      const result = await work();
      line(now() - start, typeof text === "string" ? text : text(result));
      return result;
    },
    end: () => {
      print("");
      print(
        `Done in ${((now() - began) / 1000).toFixed(1)} s; every process has ended and the temporary files are gone.`,
      );
    },
  };
}

function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}
