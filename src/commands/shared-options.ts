/** @module Options that several commands share. */
export const configOption = {
  config: {
    kind: "text",
    placeholder: "FILE",
    description: "The configuration file [or set BAO_KMS_PROVIDER_CONFIG]",
  },
} as const;

export const overrideOptions = {
  "log-level": {
    kind: "text",
    placeholder: "LEVEL",
    description: "Overrides logging.level: debug, info, warn or error",
  },
  "metrics-address": {
    kind: "text",
    placeholder: "ADDRESS",
    description: "Overrides server.metricsAddress",
  },
  "health-address": {
    kind: "text",
    placeholder: "ADDRESS",
    description: "Overrides server.healthAddress",
  },
} as const;

export const outputOption = {
  output: {
    kind: "choice",
    placeholder: "FORMAT",
    choices: ["text", "json"],
    default: "text",
    description: "text for people, json for programs",
  },
} as const;

/** Options of commands that show a plan, and carry it out only with --apply. */
export const applyOptions = {
  apply: { kind: "flag", description: "Carry out the plan; without it nothing is changed" },
  "expected-state-hash": {
    kind: "text",
    placeholder: "HASH",
    description: "The state hash in the reviewed plan; required with --apply",
  },
} as const;
