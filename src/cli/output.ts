/** @module stdout for the result, stderr for messages; quiet when the reader has gone. And the shapes of a result. */
import { visibleLines } from "../base/visible-text.ts";

export interface OutputStream {
  write(text: string, done: () => void): boolean;
  on(event: "error", listener: (error: Error) => void): unknown;
  readonly isTTY?: boolean | undefined;
}

export interface Output {
  /** The result, with its line breaks; it should end with one. */
  readonly result: (text: string) => void;
  readonly say: (line: string) => void;
  readonly paint: Paint;
  /** Whether stderr is a terminal, so that progress may be drawn there. */
  readonly canShowProgress: boolean;
  /** Overwrites the present line of the terminal, until anything else is written; only when progress may be drawn. */
  readonly progress: (line: string) => void;
  /** Resolves when everything has been handed over or the reader has gone. */
  readonly flush: () => Promise<void>;
  readonly isBroken: () => boolean;
}

export type Colour = "green" | "yellow" | "red" | "dim" | "bold";
export type Paint = (colour: Colour, text: string) => string;

const SGR: Readonly<Record<Colour, string>> = { green: "32", yellow: "33", red: "31", dim: "2", bold: "1" };

export function createOutput(
  stdout: OutputStream,
  stderr: OutputStream,
  environment: Readonly<Record<string, string | undefined>>,
): Output {
  let isBroken = false;
  let isLineDrawn = false;
  const pending = new Set<Promise<void>>();
  const broken = Promise.withResolvers<void>();
  // EPIPE, as under `| head`: the reader has seen enough.
  const leave = (): void => {
    isBroken = true;
    broken.resolve();
  };
  stdout.on("error", leave);
  stderr.on("error", leave);

  const write = (stream: OutputStream, text: string): void => {
    if (isBroken) {
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    pending.add(promise);
    stream.write(text, () => {
      pending.delete(promise);
      resolve();
    });
  };
  const progress = (line: string): void => {
    if (canShowProgress) {
      write(stderr, `\r\u001b[K${line}`);
      isLineDrawn = line !== "";
    }
  };
  const clear = (): void => {
    if (isLineDrawn) {
      progress("");
    }
  };
  // https://no-color.org: any value that is not empty
  const hasColour =
    stdout.isTTY === true && (environment["NO_COLOR"] ?? "") === "" && environment["TERM"] !== "dumb";
  const canShowProgress = stderr.isTTY === true && environment["TERM"] !== "dumb";

  return {
    result: (text) => {
      clear();
      write(stdout, visibleLines(text, hasColour));
    },
    say: (line) => {
      clear();
      write(stderr, `${visibleLines(line, hasColour)}\n`);
    },
    paint: (colour, text) => (hasColour ? `\u001b[${SGR[colour]}m${text}\u001b[0m` : text),
    canShowProgress,
    progress,
    flush: async () => {
      clear();
      await Promise.race([broken.promise, Promise.all(pending)]);
    },
    isBroken: () => isBroken,
  };
}

/** One report: its lines for a person, or its JSON for a program. */
export function printReport(
  output: Output,
  format: "text" | "json",
  lines: readonly string[],
  json: unknown,
): void {
  output.result(format === "json" ? jsonText(json) : `${lines.join("\n")}\n`);
}

/** The shape of every report in JSON: two-space indentation and a newline. */
export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

export function textTable(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
