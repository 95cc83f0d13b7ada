/** @module The demo's output: one line per step, with the time it took. */
const TIME_WIDTH = 9;

export type Narrator = ReturnType<typeof makeNarrator>;

export function makeNarrator() {
  const began = performance.now();
  let chapters = 0;
  const line = (time: string, text: string): void => console.log(`${time.padStart(TIME_WIDTH)}  ${text}`);
  return {
    chapter: (title: string): void => {
      chapters += 1;
      console.log(`\n${chapters}. ${title}`);
    },
    say: (text: string): void => line("", text),
    /** Does the work, then prints the line and the milliseconds. A function makes the line from the result. */
    timed: async <T>(text: string | ((result: T) => string), work: () => Promise<T>): Promise<T> => {
      const start = performance.now();
      const result = await work();
      line(milliseconds(performance.now() - start), typeof text === "string" ? text : text(result));
      return result;
    },
    end: (): void => {
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      console.log(`\nDone in ${seconds} s; every process has ended and the temporary files are gone.`);
    },
  };
}

function milliseconds(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}
