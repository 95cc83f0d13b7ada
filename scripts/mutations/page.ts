/** @module What a run of the mutations achieved, as numbers and as a page. */
import { table } from "../reference/markdown.ts";
import type { Mutation } from "./mutate.ts";

export type Outcome = "killed" | "survived" | "equivalent" | "not_run";

export interface Result {
  readonly mutation: Mutation;
  readonly outcome: Outcome;
}

/** `percent` is the share of the killed among those that were run and change something. */
export function score(results: readonly Result[]) {
  const count = (outcome: Outcome): number => results.filter((each) => each.outcome === outcome).length;
  const [killed, survived] = [count("killed"), count("survived")];
  return {
    killed,
    survived,
    equivalent: count("equivalent"),
    notRun: count("not_run"),
    percent: killed + survived === 0 ? 0 : (100 * killed) / (killed + survived),
  };
}

export function mutationPage(
  results: readonly Result[],
  {
    groupOf,
    floor,
    isQuick,
  }: { readonly groupOf: (file: string) => string; readonly floor: number; readonly isQuick: boolean },
): string {
  const groups = [...Map.groupBy(results, ({ mutation }) => groupOf(mutation.file))].sort(([a], [b]) =>
    a < b ? -1 : 1,
  );
  const row = (name: string, part: readonly Result[]): string => {
    const { killed, survived, equivalent, percent } = score(part);
    return `| ${name} | ${part.length} | ${killed} | ${survived} | ${equivalent} | ${percent.toFixed(0)}% |`;
  };
  const survivors = results.filter(({ outcome }) => outcome === "survived");
  return [
    "# Mutations",
    "",
    "A mutation changes one line of the code: a comparison, a bound, a guard, a statement. The tests must fail on it. `scripts/mutations.ts`",
    "makes the mutations by rule from the code as it is, adds the named ones of `scripts/mutations/named.ts`, and runs the tests that import",
    `the changed file. A scheduled workflow does so every week and fails below ${floor}%.`,
    "",
    "An equivalent mutation changes nothing that can be observed; `scripts/mutations/equivalent.ts` gives the reason for each.",
    "",
    ...(isQuick
      ? [
          "This run left out the tests of the compiled provider, which a full run asks last; it used unit, conformance and reference tests.",
          "",
        ]
      : []),
    "| folder | mutations | killed | survived | equivalent | share killed |",
    "| --- | ---: | ---: | ---: | ---: | ---: |",
    ...groups.map(([name, part]) => row(`\`${name}\``, part)),
    row("**all**", results),
    ...(survivors.length === 0
      ? []
      : [
          "",
          "## Survivors of the recorded run",
          "",
          table(
            ["place", "rule", "line"],
            survivors.map(({ mutation: { file, line, rule, after } }) => [
              `\`${file}:${line}\``,
              rule,
              `\`${after.trim()}\``,
            ]),
          ),
        ]),
    "",
  ].join("\n");
}
