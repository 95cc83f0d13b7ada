/** @module `bootstrap`, `status`, `state`, `rotation`, `logging`: how the provider starts, follows the key, and what it writes. */
import * as v from "valibot";
import { absolutePath, count, durationOr, flag, flagOr, oneOf, plainText } from "../field-types.ts";

const HOUR_MS = 3_600_000;

export const bootstrapSection = v.strictObject({
  graceTimeout: durationOr(
    "60s",
    { minMs: 0, maxMs: HOUR_MS },
    "How long a start retries what may become available later: credentials, DNS, TLS, OpenBao.",
  ),
  retryInterval: durationOr("5s", { minMs: 50, maxMs: 5 * 60_000 }, "The pause between two such attempts."),
  missingState: v.optional(
    oneOf(
      "What a start without registry and checkpoint does on a rotated key: refuse, or observe the key until the active version is certain and begin with it.",
      ["refuse", "observe"],
    ),
    "refuse",
  ),
});

export const statusSection = v.strictObject({
  probeInterval: durationOr(
    "30s",
    { minMs: 50, maxMs: HOUR_MS },
    "How often the key's metadata is read; shorter than statusMaxStaleness.",
  ),
  deepProbeInterval: durationOr(
    "5m",
    { minMs: 50, maxMs: 24 * HOUR_MS },
    "How often a non-secret marker is encrypted and decrypted.",
  ),
  statusMaxStaleness: durationOr(
    "2m",
    { minMs: 100, maxMs: 24 * HOUR_MS },
    "When the last good probe is older than this, Status shows it and /ready is 503.",
  ),
  outage: v.optional(
    oneOf(
      "What Status does while OpenBao is unavailable: keep-writing answers with the key_id and a reason, so that kube-apiserver writes with the seed in its memory; fail answers with an error, so that writes stop three minutes later.",
      ["keep-writing", "fail"],
    ),
    "keep-writing",
  ),
});

export const stateSection = v.strictObject({
  path: v.optional(
    absolutePath("The key registry: non-secret JSON, kept for as long as the cluster lives."),
    "/var/lib/openbao-kms/state/key-registry.json",
  ),
  createDirectory: flagOr(
    false,
    "Whether the provider makes the directory of state.path at start, with mode 0750. Only directly below a mount point, for a pod's volume (sidecar).",
  ),
});

export const rotationSection = v.strictObject({
  mode: v.optional(
    oneOf("Versions made in OpenBao are observed and then promoted; there is no other mode.", ["observed"]),
    "observed",
  ),
  activationDelay: durationOr(
    "2m",
    { minMs: 0, maxMs: 30 * 24 * HOUR_MS },
    "How long a new version must have been seen before it encrypts.",
  ),
  requireStableObservationCount: v.optional(
    count(
      "How many successive probes must agree before a version is promoted, or before it counts as lost.",
      { min: 1, max: 100 },
    ),
    3,
  ),
  rejectVersionRollback: v.optional(
    v.pipe(
      flag("A lower latest version is never followed. Only true is accepted."),
      v.check((value) => value, "would let an older key version come back; set it to true, or leave it out"),
    ),
    true,
  ),
});

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
