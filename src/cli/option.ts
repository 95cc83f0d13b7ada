/** @module The options of commands as data, and how the text of one becomes a value. */
import { assertNever } from "../base/assert-never.ts";
import { formatDuration, parseDurationMs } from "../base/duration.ts";

interface WithValue {
  readonly description: string;
  /** What stands for the value in the help text: `FILE`. */
  readonly placeholder: string;
}

export type Option =
  | (WithValue & { readonly kind: "text"; readonly default?: string })
  | (WithValue & { readonly kind: "list" })
  | (WithValue & { readonly kind: "choice"; readonly choices: readonly string[]; readonly default: string })
  /** Milliseconds. */
  | (WithValue & { readonly kind: "duration"; readonly default?: number; readonly max: number })
  | (WithValue & {
      readonly kind: "count";
      readonly default?: number;
      readonly min: number;
      readonly max: number;
    })
  | { readonly kind: "flag"; readonly description: string }
  /** On unless `--name=false` turns it off. */
  | { readonly kind: "switch"; readonly description: string };

/** Keys are the long names without the dashes. */
export type Options = Readonly<Record<string, Option>>;

type ValueOf<Each extends Option> = Each extends { readonly kind: "flag" | "switch" }
  ? boolean
  : Each extends { readonly kind: "list" }
    ? readonly string[]
    : Each extends { readonly kind: "choice"; readonly choices: readonly (infer Choice)[] }
      ? Choice
      :
          | (Each extends { readonly kind: "text" } ? string : number)
          | (Each extends { readonly default: string | number } ? never : undefined);

/** The values that a command's run is given. Durations are milliseconds. */
export type ValuesOf<Declared extends Options> = {
  readonly [Name in keyof Declared]: ValueOf<Declared[Name]>;
};

/** The options as declarations write them; `{ ...text(…), default: "x" }` has a value when the flag is absent. */
export const text = (placeholder: string, description: string) =>
  ({ kind: "text", placeholder, description }) as const;

export const list = (placeholder: string, description: string) =>
  ({ kind: "list", placeholder, description }) as const;

/** The first choice is the default. */
export const choice = <const Choices extends readonly [string, ...string[]]>(
  placeholder: string,
  choices: Choices,
  description: string,
) => ({ kind: "choice", placeholder, choices, default: choices[0], description }) as const;

export const duration = (description: string, max: number) =>
  ({ kind: "duration", placeholder: "D", description, max }) as const;

export const count = (placeholder: string, description: string, min: number, max: number) =>
  ({ kind: "count", placeholder, description, min, max }) as const;

export const flag = (description: string) => ({ kind: "flag", description }) as const;

export const onSwitch = (description: string) => ({ kind: "switch", description }) as const;

type OptionOutcome = { readonly value: unknown } | { readonly problem: string };

/** One option's value from what the parser collected: nothing, `true`, one text or several. */
export function readOption(option: Option, raw: unknown): OptionOutcome {
  switch (option.kind) {
    case "flag":
      return { value: raw === true };
    case "switch":
      return raw === undefined || raw === true || raw === "true"
        ? { value: true }
        : raw === "false"
          ? { value: false }
          : { problem: "must be true or false" };
    case "list":
      return { value: Array.isArray(raw) ? raw : [] };
    case "text":
      return raw === "" ? { problem: "must not be empty" } : { value: raw ?? option.default };
    case "choice": {
      const chosen = raw ?? option.default;
      return typeof chosen === "string" && option.choices.includes(chosen)
        ? { value: chosen }
        : { problem: `must be one of ${option.choices.join(", ")}` };
    }
    case "duration": {
      if (raw === undefined) {
        return { value: option.default };
      }
      const ms = typeof raw === "string" ? parseDurationMs(raw) : undefined;
      return ms === undefined || ms > option.max
        ? {
            problem: `must be a duration of at most ${formatDuration(option.max)}, such as 500ms, 2s or 1m`,
          }
        : { value: ms };
    }
    case "count": {
      if (raw === undefined) {
        return { value: option.default };
      }
      const number = typeof raw === "string" && /^\d{1,12}$/.test(raw) ? Number(raw) : Number.NaN;
      return number >= option.min && number <= option.max
        ? { value: number }
        : { problem: `must be a whole number from ${option.min} to ${option.max}` };
    }
    default:
      return assertNever(option);
  }
}

/** How the option stands in help, completion and reference pages: `--timeout D`. */
export function optionUsage(name: string, option: Option): string {
  const value =
    option.kind === "flag" ? "" : option.kind === "switch" ? "[=false]" : ` ${option.placeholder}`;
  return `--${name}${value}`;
}

export function optionDefault(option: Option): string | undefined {
  if (option.kind === "switch") {
    return "true";
  }
  const value = "default" in option ? option.default : undefined;
  return typeof value === "number" && option.kind === "duration" ? formatDuration(value) : value?.toString();
}
