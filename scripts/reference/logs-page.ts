/**
 * docs/reference/logs.md.
 *
 * @module Made from the closed sets of events and fields; the meaning of each is here, and none can be left out.
 */
import { LOG_FIELD_NAMES, type LogEvent, type LogFieldName } from "../../src/telemetry/log-event.ts";
import { code, GENERATED, table } from "./markdown.ts";

const EVENTS: Readonly<Record<LogEvent, string>> = {
  "provider.starting":
    "The process began; version, commit and the fingerprint of the configuration's identity.",
  "provider.started": "The socket exists and Status answers.",
  "provider.ready": "The key was read for the first time since the start; Encrypt and Decrypt work.",
  "provider.stopping": "SIGTERM, SIGINT or a failure: no new connections, calls under way are finished.",
  "provider.stopped": "The end of a clean stop.",
  "provider.failed": "The process ends, for this reason, which is also the last line on stderr.",
  "config.warning": "A permitted but unwise setting, such as running as root.",
  "config.reloaded": "SIGHUP: the level that is in force now, or why the file was refused.",
  "tls.ca_reloaded": "The CA bundle was read again, by SIGHUP or because it changed; a bad one is not taken.",
  "auth.credential": "A token endpoint or Workload API was asked for a credential.",
  "auth.login": "A login to OpenBao.",
  "auth.renewal": "A renewal of the token. A failed one leaves the token in use and leads to a login.",
  "openbao.request": "One call to OpenBao with all its retries.",
  "openbao.circuit":
    "OpenBao failed several times in a row and gets no calls for a moment (`open`), or answers again (`closed`).",
  "status.probe": "A probe of the key: its metadata, or an encrypt and decrypt of the marker (`probe_kind`).",
  "kms.request": "A call of kube-apiserver; `status` is its gRPC code.",
  "panic.recovered": "A handler threw an unexpected error. This is a defect: please report it.",
  "registry.created": "The first registry of this node was made.",
  "registry.loaded": "The registry was read at the start.",
  "registry.adopted": "A command wrote the registry; the provider continues with it.",
  "registry.write": "The registry could not be written and nothing is promoted meanwhile, or can be again.",
  "rotation.pending": "A new version of the key was seen; it decrypts, and waits until it may encrypt.",
  "rotation.observed": "The observations of a new version began.",
  "rotation.promoted": "The version encrypts from now on; the key_id has changed.",
  "rotation.rejected": "A version contradicts what was recorded and is not used.",
  "rotation.profile": "Key or mount are not as required, or are so again.",
  "rotation.lost": "The active version is proven lost: Status is an error, so that writes stop.",
  "rotation.recovered": "The active version is as it was recorded again.",
  "socket.created": "The socket's directory is safe again.",
  "socket.stale_removed": "The socket of a killed predecessor was removed.",
  "socket.restarted": "The socket was gone or altered, and was made again.",
  "socket.unsafe": "The socket's directory is not safe any more: not ready, nothing is bound there.",
  "debug_correlation.started":
    "Lines of calls carry hashes of kube-apiserver's uids until the time that is named.",
  "debug_correlation.ended": "They do not any more.",
  "log.dropped": "The reader of the log was too slow; this many lines are missing here.",
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
  code: "What exactly went wrong.",
  reason: "The same as a sentence.",
  advice: "What to type or change.",
  repeated: "How many like failures the line stands for.",
  method: "The auth method.",
  state: "The state that was entered.",
  generation: "Generation of the registry.",
  version: "Version of the provider.",
  commit: "Commit that it was built from.",
  fingerprint: "Fingerprint of the configuration's identity; the same on all nodes of a control plane.",
  address: "Address of the OpenBao node that calls go to now.",
  path: "The socket.",
  panicType: "Kind of what was thrown.",
  requestUidHash: "With debug correlation: hash of the uid that kube-apiserver gave the call.",
  debugCorrelationIncident: "With debug correlation: `logging.debugCorrelation.incidentId`.",
  debugCorrelationExpiresAt: "With debug correlation: when it ends.",
};

export function logsPage(): string {
  return `# Log
${GENERATED}

One JSON object a line on stdout, or with \`logging.format: text\` the same for people. Every line has \`ts\` (RFC 3339,
milliseconds), \`level\` and \`message\`, which is the name of an event. No line contains a token, a JWT, a plaintext, a
ciphertext, a uid or text that came from a remote.

What succeeds often is at debug. A failure that repeats is logged when it begins, then once a minute with a count, then when it
ends, at info. SIGHUP applies a changed \`logging.level\`.

## Events

${table(
  ["message", "meaning"],
  Object.entries(EVENTS).map(([event, meaning]) => [code(event), meaning]),
)}

## Fields

${table(
  ["field", "meaning"],
  Object.entries(LOG_FIELD_NAMES).map(([key, name]) => [code(name), meaningOf(key)]),
)}
`;
}

function meaningOf(key: string): string {
  return Object.entries(FIELDS).find(([name]) => name === key)?.[1] ?? "";
}
