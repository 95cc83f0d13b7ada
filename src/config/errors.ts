/**
 * What can be wrong with a configuration as a whole.
 *
 * @module The layer's one error class. A file that cannot be read safely throws SafeFileError of base/safe-file.ts instead.
 */
import { ProviderError } from "../base/error-class.ts";
import type { ConfigProblem } from "./problem.ts";

export type ConfigErrorCode = "config_path_missing" | "config_malformed" | "config_refused";

export class ConfigError extends ProviderError<ConfigErrorCode> {
  /** Every problem that was found in one pass, in the order of the file. */
  readonly problems: readonly ConfigProblem[];

  constructor(code: ConfigErrorCode, source: string, problems: readonly ConfigProblem[]) {
    const [first] = problems;
    super({
      code,
      errorClass: "config_invalid",
      message:
        first === undefined
          ? `the configuration ${source} was refused`
          : `the configuration ${source} was refused: ${describeProblem(first)}${
              problems.length === 1 ? "" : ` (and ${problems.length - 1} more)`
            }`,
      advice: first?.mend ?? `mend ${source}`,
    });
    this.problems = problems;
  }
}

/** `server.socketGroup is missing` */
export function describeProblem({ path, problem }: ConfigProblem): string {
  return path === "" ? `the file ${problem}` : `${path} ${problem}`;
}
