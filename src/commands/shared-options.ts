/** @module Options that several commands share. */
import { choice, flag, text } from "../cli/option.ts";
export const configOption = {
  config: text("FILE", "The configuration file [or set BAO_KMS_PROVIDER_CONFIG]"),
} as const;

export const overrideOptions = {
  "log-level": text("LEVEL", "Overrides logging.level: debug, info, warn or error"),
  "metrics-address": text("ADDRESS", "Overrides server.metricsAddress"),
  "health-address": text("ADDRESS", "Overrides server.healthAddress"),
} as const;

export const outputOption = {
  output: choice("FORMAT", ["text", "json"], "text for people, json for programs"),
} as const;

/** Options of commands that show a plan, and carry it out only with --apply. */
export const applyOptions = {
  apply: flag("Carry out the plan; without it nothing is changed"),
  "expected-state-hash": text("HASH", "The state hash in the reviewed plan; required with --apply"),
} as const;
