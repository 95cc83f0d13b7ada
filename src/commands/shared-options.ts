/** @module Options that several commands share. */
export const configOption = {
  config: {
    kind: "text",
    placeholder: "FILE",
    description: "The configuration file; without it, BAO_KMS_PROVIDER_CONFIG names it",
  },
} as const;

export const overrideOptions = {
  "log-level": {
    kind: "text",
    placeholder: "LEVEL",
    description: "In place of logging.level: debug, info, warn or error",
  },
  "metrics-address": {
    kind: "text",
    placeholder: "ADDRESS",
    description: "In place of server.metricsAddress",
  },
  "health-address": {
    kind: "text",
    placeholder: "ADDRESS",
    description: "In place of server.healthAddress",
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
  apply: { kind: "flag", description: "Carry the plan out; without it nothing is changed" },
  "expected-state-hash": {
    kind: "text",
    placeholder: "HASH",
    description: "The hash that the reviewed plan printed; needed with --apply",
  },
} as const;
