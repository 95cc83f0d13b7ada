/** @module The options of commands as data, and how the text of one becomes a value. */
import { assertNever } from "../base/assert-never.ts";
import { formatDuration, parseDurationMs } from "../base/duration.ts";

interface OptionBase {
  readonly description: string;
  /** What stands for the value in the help text: `FILE`. */
  readonly placeholder: string;
}

export interface TextOption extends OptionBase {
  readonly kind: "text";
  readonly default?: string;
}

export interface ListOption extends OptionBase {
  readonly kind: "list";
}

export interface ChoiceOption extends OptionBase {
  readonly kind: "choice";
  readonly choices: readonly string[];
  readonly default: string;
}

export interface DurationOption extends OptionBase {
  readonly kind: "duration";
  readonly defaultMs?: number;
  readonly maxMs: number;
}

export interface CountOption extends OptionBase {
  readonly kind: "count";
  readonly default?: number;
  readonly min: number;
  readonly max: number;
}

export interface FlagOption {
  readonly kind: "flag";
  readonly description: string;
}

/** A flag that is on unless `--name=false` says otherwise. */
export interface SwitchOption {
  readonly kind: "switch";
  readonly description: string;
}

export type Option =
  | TextOption
  | ListOption
  | ChoiceOption
  | DurationOption
  | CountOption
  | FlagOption
  | SwitchOption;

/** Keys are the long names without the dashes. */
export type Options = Readonly<Record<string, Option>>;

export type ValueOf<Each extends Option> = Each extends { readonly kind: "flag" | "switch" }
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

export type OptionOutcome = { readonly value: unknown } | { readonly problem: string };

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
