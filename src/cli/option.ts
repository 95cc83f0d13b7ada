/** @module The options of commands as data, and how the text of one becomes a value. */
import { assertNever } from "../base/assert-never.ts";
import { formatDuration, parseDurationMs } from "../base/duration.ts";

interface WithValue {
  readonly description: string;
  /** What stands for the value in the help text: `FILE`. */
  readonly placeholder: string;
}

interface WithoutValue {
  readonly description: string;
}

export type Option =
  | (WithValue & { readonly kind: "text"; readonly default?: string })
  | (WithValue & { readonly kind: "list" })
  | (WithValue & { readonly kind: "choice"; readonly choices: readonly string[]; readonly default: string })
  | (WithValue & { readonly kind: "duration"; readonly defaultMs?: number; readonly maxMs: number })
  | (WithValue & {
      readonly kind: "count";
      readonly default?: number;
      readonly min: number;
      readonly max: number;
    })
  | (WithoutValue & { readonly kind: "flag" })
  /** On unless `--name=false` says otherwise. */
  | (WithoutValue & { readonly kind: "switch" });

/** Keys are the long names without the dashes. */
export type Options = Readonly<Record<string, Option>>;

type ValueOf<Each extends Option> = Each extends { readonly kind: "flag" | "switch" }
  ? boolean
  : Each extends { readonly kind: "list" }
    ? readonly string[]
    : Each extends { readonly kind: "choice"; readonly choices: readonly (infer Choice)[] }
      ? Choice
      : Each extends { readonly kind: "duration" }
        ? Each extends { readonly defaultMs: number }
          ? number
          : number | undefined
        : Each extends { readonly kind: "count" }
          ? Each extends { readonly default: number }
            ? number
            : number | undefined
          : Each extends { readonly default: string }
            ? string
            : string | undefined;

/** The values that a command's run is given. Durations are milliseconds. */
export type ValuesOf<Declared extends Options> = {
  readonly [Name in keyof Declared]: ValueOf<Declared[Name]>;
};

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
      const text = raw ?? option.default;
      return typeof text === "string" && option.choices.includes(text)
        ? { value: text }
        : { problem: `must be one of ${option.choices.join(", ")}` };
    }
    case "duration": {
      if (raw === undefined) {
        return { value: option.defaultMs };
      }
      const ms = typeof raw === "string" ? parseDurationMs(raw) : undefined;
      return ms === undefined || ms > option.maxMs
        ? {
            problem: `must be a duration of at most ${formatDuration(option.maxMs)}, such as 500ms, 2s or 1m`,
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
  switch (option.kind) {
    case "flag":
      return `--${name}`;
    case "switch":
      return `--${name}[=false]`;
    default:
      return `--${name} ${option.placeholder}`;
  }
}

export function optionDefault(option: Option): string | undefined {
  switch (option.kind) {
    case "text":
    case "choice":
      return option.default;
    case "duration":
      return option.defaultMs === undefined ? undefined : formatDuration(option.defaultMs);
    case "count":
      return option.default === undefined ? undefined : String(option.default);
    case "switch":
      return "true";
    case "flag":
    case "list":
      return undefined;
    default:
      return assertNever(option);
  }
}
