/** @module docs/reference/logs.md, from the closed sets of events and fields; the meaning of each is here. */
import type { ErrorClass } from "../../src/base/error-class.ts";
import { LOG_FIELD_NAMES, type LogEvent, type LogFieldName } from "../../src/telemetry/log-event.ts";
import { code, GENERATED, table } from "./markdown.ts";

/** `class`: the line has an error_class, which is the anchor of the help. */
type Help = ErrorClass | "class";

const EVENTS: Readonly<Record<LogEvent, readonly [meaning: string, help?: Help]>> = {
  "provider.starting": [
    "The process began; version, commit and the fingerprint of the configuration's identity.",
  ],
  "provider.started": ["The socket exists and Status answers."],
  "provider.ready": ["The key was read for the first time since the start; Encrypt and Decrypt work."],
  "provider.stopping": [
    "SIGTERM, SIGINT or a failure: new connections are refused, calls in progress are finished.",
  ],
  "provider.stopped": ["The end of a clean stop."],
  "provider.failed": ["The process ends for this reason, which is also the last line on stderr.", "class"],
  "config.warning": ["A permitted but unwise setting, such as running as root.", "config_invalid"],
  "config.reloaded": ["SIGHUP: the level that is in force, or why the file was refused.", "class"],
  "tls.ca_reloaded": [
    "The CA bundle was read again, by SIGHUP or because it changed; an invalid bundle is not used.",
    "class",
  ],
  "auth.credential": ["A token endpoint or Workload API was asked for a credential.", "class"],
  "auth.login": ["A login to OpenBao.", "class"],
  "auth.renewal": [
    "A renewal of the token. A failed one leaves the token in use and leads to a login.",
    "class",
  ],
  "openbao.request": ["One call to OpenBao with all its retries.", "class"],
  "openbao.circuit": [
    "OpenBao failed several times in a row and gets no calls for a moment (`open`), or answers again (`closed`).",
    "openbao_unavailable",
  ],
  "status.probe": [
    "A probe of the key: its metadata, or an encrypt and decrypt of the marker (`probe_kind`).",
    "class",
  ],
  "kms.request": ["A call of kube-apiserver; `status` is its gRPC code.", "class"],
  "panic.recovered": ["A handler threw an unexpected error. This is a defect: please report it.", "unknown"],
  "registry.created": ["The first registry of this node was made."],
  "registry.loaded": ["The registry was read at the start."],
  "registry.adopted": ["A command wrote the registry; the provider continues with it."],
  "registry.write": [
    "The registry cannot be written, and nothing is promoted until it can; or it can be written again.",
    "registry_invalid",
  ],
  "rotation.pending": [
    "A new version of the key was seen. It decrypts, and waits until it may encrypt.",
    "class",
  ],
  "rotation.observed": ["The observations of a new version began."],
  "rotation.promoted": ["The version encrypts from this moment; the key_id has changed."],
  "rotation.rejected": ["A version contradicts the registry and is not used.", "transit_key_missing"],
  "rotation.profile": [
    "The key or its mount does not have the required settings, or has them again.",
    "transit_policy_denied",
  ],
  "rotation.lost": [
    "The active version is proven lost: Status is an error, so that writes stop.",
    "transit_key_missing",
  ],
  "rotation.recovered": ["The active version is again as the registry recorded it."],
  "socket.created": ["The socket's directory is safe again."],
  "socket.stale_removed": ["The socket of a killed predecessor was removed."],
  "socket.restarted": ["The socket was missing or altered, and was made again.", "socket_unavailable"],
  "socket.unsafe": [
    "The socket's directory became unsafe: `/ready` is 503, and no socket is bound there.",
    "socket_unavailable",
  ],
  "debug_correlation.started": [
    "Lines of calls carry hashes of kube-apiserver's uids until the time in the line.",
  ],
  "debug_correlation.ended": ["Lines of calls have these hashes only until here."],
  "log.dropped": ["The reader of the log was too slow; this many lines are missing here."],
};

const FIELDS: Readonly<Record<LogFieldName, string>> = {
  operation: "Which call, probe or method.",
  status: "`ok`, `error`, `recovered`; for `kms.request` the gRPC code.",
  durationMs: "Milliseconds.",
  keyIdHash: "Hash of the key_id, as in the annotations.",
  transitKeyVersion: "Version of the Transit key.",
  openbaoRequestId:
    "OpenBao's id of the request, as in its audit log; off with `logging.logOpenBaoRequestIDs`.",
  batchIndex: "Place of the call in a request to Transit that it shared with others.",
  probeKind: "`metadata` or `deep`.",
  healthz: "What Status shows.",
  errorClass: "Class of the error, see [troubleshooting](../troubleshooting.md).",
  code: "The exact failure, from a closed set.",
  reason: "The failure as a sentence.",
  advice: "The command to run or the setting to change.",
  repeated: "How many equal failures the line stands for.",
  method: "The auth method.",
  state: "The state that was entered.",
  generation: "Generation of the registry.",
  version: "Version of the provider.",
  commit: "Commit that it was built from.",
  fingerprint: "Fingerprint of the configuration's identity; the same on all nodes of a control plane.",
  address: "Address of the OpenBao node that gets the calls.",
  path: "The socket.",
  panicType: "The type of the error that was thrown.",
  requestUidHash: "With debug correlation: hash of the uid that kube-apiserver gave the call.",
  debugCorrelationIncident: "With debug correlation: `logging.debugCorrelation.incidentId`.",
  debugCorrelationExpiresAt: "With debug correlation: when it ends.",
};

export function logsPage(): string {
  const meanings = new Map<string, string>(Object.entries(FIELDS));
  return `# Log
${GENERATED}

The provider writes one JSON object per line to stdout, or readable text with \`logging.format: text\`. Each line has \`ts\` (RFC 3339 with
milliseconds), \`level\` and \`message\`, which is the name of an event. No line contains a token, a JWT, a plaintext, a ciphertext, a uid or text
from a remote.

Frequent successes are at level debug. A failure that repeats is logged when it begins, then once a minute with a count, and at level info when
it ends. SIGHUP applies a changed \`logging.level\`.

## Events

A line about a failure has \`code\`, \`reason\`, \`advice\` and \`error_class\`. The last column leads to the entry of
[troubleshooting](../troubleshooting.md) for the event.

${table(
  ["message", "meaning", "help"],
  Object.entries(EVENTS).map(([event, [meaning, help]]) => [code(event), meaning, helpLink(help)]),
)}

## Fields

${table(
  ["field", "meaning"],
  Object.entries(LOG_FIELD_NAMES).map(([key, name]) => [code(name), meanings.get(key) ?? ""]),
)}
`;
}

function helpLink(help: Help | undefined): string {
  if (help === undefined) {
    return "";
  }
  return help === "class"
    ? "[by error_class](../troubleshooting.md#by-error-class)"
    : `[${help}](../troubleshooting.md#${help})`;
}
