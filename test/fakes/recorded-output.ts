/** @module stdout and stderr of a command, kept instead of shown. The stand-in for cli/output.ts, without colours. */
import type { Output } from "../../src/cli/output.ts";

export interface RecordedOutput extends Output {
  readonly stdout: () => string;
  readonly stderr: () => string;
}

export function recordedOutput(): RecordedOutput {
  let stdout = "";
  let stderr = "";
  return {
    result: (text) => {
      stdout += text;
    },
    say: (line) => {
      stderr += `${line}\n`;
    },
    paint: (_, text) => text,
    canShowProgress: false,
    progress: () => {},
    flush: async () => {},
    isBroken: () => false,
    stdout: () => stdout,
    stderr: () => stderr,
  };
}
