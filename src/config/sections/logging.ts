/** @module `logging`: what is written to stdout. */
import * as v from "valibot";
import { durationOr, flagOr, oneOf, plainText } from "../field-types.ts";

const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

const debugCorrelationSection = v.strictObject({
  enabled: flagOr(false, "Logs a hash of each request's uid for a short time, to follow one incident."),
  ttl: durationOr("15m", { minMs: 1000, maxMs: 3_600_000 }, "How long after the start it ends by itself."),
  incidentId: v.optional(
    plainText("The incident that this is for; needed when enabled.", { example: "INC-1234", maxBytes: 64 }),
    "",
  ),
});

const fields = v.strictObject({
  level: v.optional(oneOf("The lowest level that is written. SIGHUP reads it again.", LOG_LEVELS), "info"),
  format: v.optional(oneOf("json for machines, text for a person at a terminal.", ["json", "text"]), "json"),
  logOpenBaoRequestIDs: flagOr(
    true,
    "Whether OpenBao's request ids are logged, to find a call in its audit log.",
  ),
  debugCorrelation: v.optional(debugCorrelationSection, {}),
});

export const loggingSection = v.pipe(
  fields,
  v.forward(
    v.check(
      ({ level, debugCorrelation }) => !debugCorrelation.enabled || level === "debug",
      "is enabled, which needs level debug; set logging.level to debug, or logging.debugCorrelation.enabled to false",
    ),
    ["debugCorrelation"],
  ),
  v.forward(
    v.check(
      ({ logOpenBaoRequestIDs, debugCorrelation }) => !debugCorrelation.enabled || logOpenBaoRequestIDs,
      "is false, which logging.debugCorrelation.enabled does not allow; set it to true, or logging.debugCorrelation.enabled to false",
    ),
    ["logOpenBaoRequestIDs"],
  ),
  v.forward(
    v.check(
      ({ debugCorrelation }) => !debugCorrelation.enabled || debugCorrelation.incidentId !== "",
      "is enabled without an incident; set logging.debugCorrelation.incidentId to the name of the incident",
    ),
    ["debugCorrelation"],
  ),
);
