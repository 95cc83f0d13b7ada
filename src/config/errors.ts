/** @module What can be wrong with a configuration as a whole. */
import { ProviderError } from "../base/error-class.ts";
import type { ConfigProblem } from "./problem.ts";

type ConfigErrorCode = "config_path_missing" | "config_malformed" | "config_refused";

export class ConfigError extends ProviderError<ConfigErrorCode> {
  /** Every problem that was found in one pass, in the order of the file. */
  readonly problems: readonly ConfigProblem[];
  readonly source: string;

  constructor(code: ConfigErrorCode, source: string, problems: readonly ConfigProblem[]) {
    const [first] = problems;
    super({
      code,
      errorClass: "config_invalid",
      message: summary(code, source, problems),
      advice:
        first?.fix ?? `correct ${source}, then check it with: bao-kms-provider config --config ${source}`,
    });
    this.problems = problems;
    this.source = source;
  }
}

function summary(code: ConfigErrorCode, source: string, problems: readonly ConfigProblem[]): string {
  const [first] = problems;
  if (first === undefined) {
    return `${source} was refused`;
  }
  const text = describeProblem(first, source);
  const more = problems.length === 1 ? "" : ` (and ${problems.length - 1} more)`;
  return code === "config_path_missing" ? text : `${source} was refused: ${text}${more}`;
}

/** `server.socketGroup is missing`, or of the file as a whole `/etc/x.yaml is not valid UTF-8`. */
export function describeProblem({ path, problem }: ConfigProblem, source: string): string {
  return `${path === "" ? source : path} ${problem}`;
}
