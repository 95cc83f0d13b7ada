/** @module The shapes of reports with --output json. A field may be added; none is renamed, removed or changed in kind. */
import { toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { ERROR_CLASSES } from "../../src/base/error-class.ts";
import { CHECK_IDS } from "../../src/commands/doctor/context.ts";
import { MIGRATION_STATES } from "../../src/commands/migrate/storage-version-migration.ts";
import { PROBE_IDS } from "../../src/commands/probe/checks.ts";
import { VERIFY_IDS } from "../../src/commands/verify-key/run.ts";
import { EVIDENCE } from "../../src/etcd/evidence.ts";
import { VERSION_STATES } from "../../src/key/registry/record.ts";

const whole = v.pipe(v.number(), v.integer(), v.minValue(0));
const milliseconds = v.pipe(v.number(), v.minValue(0));
const errorClass = v.picklist(ERROR_CLASSES);

const said = <Schema extends v.GenericSchema>(schema: Schema, description: string) =>
  v.pipe(schema, v.description(description));

const list = <const Entries extends v.ObjectEntries>(entries: Entries) => v.array(v.strictObject(entries));

const finding = v.strictObject({
  severity: v.picklist(["failure", "warning"]),
  code: said(v.string(), "A stable name of what was found."),
  errorClass: v.optional(errorClass),
  message: v.string(),
  advice: said(v.string(), "What to type or change."),
});

const check = <const Ids extends readonly [string, ...string[]]>(ids: Ids) =>
  v.strictObject({
    id: v.picklist(ids),
    status: said(
      v.picklist(["passed", "warning", "failed", "skipped"]),
      "`skipped` is not passed: a prerequisite did not pass, or there was nothing to check.",
    ),
    detail: v.string(),
    findings: v.array(finding),
  });

const good = said(v.boolean(), "Whether no check failed; the exit code is then 0.");
const keyVersionState = v.picklist(VERSION_STATES);

const doctor = v.strictObject({
  good,
  user: v.strictObject({
    name: v.string(),
    uid: whole,
    isService: said(
      v.nullable(v.boolean()),
      "Whether doctor ran as the service's user; null when that is not known.",
    ),
  }),
  service: v.nullable(v.strictObject({ name: v.string(), uid: whole })),
  checks: v.array(check(CHECK_IDS)),
});

const probe = v.strictObject({
  good,
  host: v.string(),
  checkedAt: v.pipe(v.string(), v.isoTimestamp()),
  socket: v.string(),
  caller: v.strictObject({ uid: whole, gid: whole, groups: v.array(whole) }),
  keyId: said(v.string(), "Empty when Status was not answered."),
  healthz: v.nullable(v.string()),
  removedVersions: v.optional(
    said(v.array(whole), "Which versions this node's registry has as removed; there with --config."),
  ),
  tookMs: v.strictObject(v.entriesFromList(["status", "encrypt", "decrypt"], v.nullable(milliseconds))),
  unproven: said(v.array(v.string()), "What a probe by this caller cannot prove."),
  checks: v.array(check(PROBE_IDS)),
});

const verifyKey = v.strictObject({
  good,
  partial: said(v.boolean(), "OpenBao could not be asked."),
  fingerprint: v.string(),
  checks: v.array(check(VERIFY_IDS)),
});

const openbaoProblem = v.nullable(
  v.strictObject({
    code: v.string(),
    errorClass,
    message: v.string(),
    advice: v.nullable(v.string()),
  }),
);

const rotationFinding = v.looseObject({ code: v.string(), message: v.string(), advice: v.string() });

const rotationPlan = v.union([
  v.strictObject({
    partial: v.boolean(),
    openbao: openbaoProblem,
    registry: v.null(),
    latestVersion: v.nullable(whole),
  }),
  v.strictObject({
    partial: said(v.boolean(), "OpenBao could not be asked; the report rests on the registry alone."),
    openbao: openbaoProblem,
    registry: v.strictObject({
      generation: whole,
      hash: said(v.string(), "What --expected-state-hash takes."),
      checkpoint: v.picklist(["current", "behind"]),
      origin: v.picklist(["first_version", "observed", "rebuilt"]),
      fingerprint: v.string(),
    }),
    activeVersion: whole,
    latestVersion: v.optional(whole),
    versions: list({
      version: whole,
      createdAtUnix: whole,
      keyId: v.string(),
      state: keyVersionState,
      shown: v.optional(said(v.boolean(), "Whether OpenBao shows it now.")),
      hasMarker: v.boolean(),
    }),
    next: v.variant("kind", [
      v.strictObject({ kind: v.literal("none") }),
      v.strictObject({ kind: v.literal("observe"), version: whole }),
      v.strictObject({
        kind: v.literal("wait"),
        version: whole,
        missingObservations: whole,
        missingMs: milliseconds,
        earliestInMs: milliseconds,
      }),
      v.strictObject({ kind: v.literal("promote"), version: whole }),
      v.strictObject({ kind: v.literal("blocked"), by: v.array(rotationFinding) }),
    ]),
    findings: v.array(rotationFinding),
    observation: v.nullable(
      v.looseObject({ version: whole, createdAtUnix: whole, count: whole, stableForMs: milliseconds }),
    ),
  }),
]);

const benchmark = v.strictObject({
  iterations: whole,
  concurrency: whole,
  overhead: said(
    v.record(v.string(), v.number()),
    "By method: the median through the provider divided by the median directly.",
  ),
  results: list({
    name: v.string(),
    failures: whole,
    latency: v.nullable(
      v.strictObject({
        count: whole,
        ...v.entriesFromList(["minMs", "meanMs", "p50Ms", "p90Ms", "p99Ms", "maxMs"], milliseconds),
      }),
    ),
    histogram: list({ fromMs: milliseconds, toMs: milliseconds, count: whole }),
  }),
});

const config = v.strictObject({
  file: v.string(),
  fingerprint: v.string(),
  fields: list({
    field: v.string(),
    value: said(v.unknown(), "As it would stand in the file."),
    origin: v.picklist(["default", "file", "environment", "flag"]),
  }),
});

const version = v.strictObject({
  version: v.string(),
  commit: v.string(),
  bun: v.string(),
  formats: v.strictObject(v.entriesFromList(["config", "kms", "keyId", "associatedData"], v.string())),
});

const unwrapSecretId = v.strictObject({
  file: v.string(),
  ttlSeconds: said(v.nullable(whole), "null: it does not end."),
  uses: said(v.nullable(whole), "Logins that it is good for; null: any number."),
  letIn: said(
    v.boolean(),
    "Whether a login with it has succeeded; none is made where logins are counted, nor where OpenBao could not be asked.",
  ),
});

const blockers = list({
  code: v.string(),
  message: v.string(),
  advice: v.string(),
  overridable: said(v.boolean(), "Whether --override-reason lets a person continue."),
});
const stateHash = said(v.string(), "What --expected-state-hash takes.");

const change = { applied: v.boolean(), stateHash, blockers };

const retireVersions = v.strictObject({
  remove: v.array(whole),
  ...change,
  raiseMinDecryption: v.optional(said(v.string(), "What to type once every node has them removed.")),
});

const restoreVersions = v.strictObject({ restore: v.array(whole), ...change });

const rebuildRegistry = v.strictObject({
  applied: v.boolean(),
  planHash: stateHash,
  versions: list({ version: whole, createdAtUnix: whole, state: keyVersionState }),
  unreadable: list({
    keyId: v.string(),
    statedVersion: whole,
    objects: whole,
    where: v.string(),
    why: v.picklist(["hidden", "made_again", "gone"]),
  }),
  blockers,
});

const remaining = list({
  source: v.string(),
  resource: v.string(),
  under: said(v.string(), "What the objects are encrypted under, in words."),
  group: v.string(),
  version: v.optional(said(whole, "The Transit version, of objects of ours.")),
  objects: whole,
});

const problems = v.array(v.string());

const verifyRotation = v.strictObject({
  result: v.picklist(["done", "remaining", "not_proven"]),
  activeVersion: whole,
  activeKeyId: v.string(),
  remaining,
  problems,
  confidence: v.picklist(["high", "limited", "low"]),
  limitations: v.array(v.string()),
});

const warnings = said(
  v.array(v.string()),
  "What an operator must know of the result, such as objects stored in plaintext.",
);

const judgement = said(
  v.union([
    v.strictObject({ ...verifyRotation.entries, warnings }),
    v.strictObject({ remaining, problems, warnings }),
  ]),
  "As verify-rotation says it; with --away what is still ours.",
);

const migrate = v.strictObject({
  applied: said(v.boolean(), "false: a dry run; `after` is then `before`."),
  before: judgement,
  after: judgement,
  counts: v.optional(
    said(
      v.strictObject(
        v.entriesFromList(["rewritten", "deleted", "contended", "refused", "not_served"], whole),
      ),
      "What became of the stale objects; absent in a dry run and with --storage-version-migration.",
    ),
  ),
  requested: v.optional(
    said(
      list({
        resource: v.string(),
        name: said(v.string(), "Of the StorageVersionMigration."),
        state: v.picklist(MIGRATION_STATES),
      }),
      "What the cluster was asked for, with --storage-version-migration.",
    ),
  ),
});

/** By the name of the command, with `-` for a blank. */
export const REPORT_SCHEMAS = {
  doctor,
  probe,
  "verify-key": verifyKey,
  "rotation-plan": rotationPlan,
  benchmark,
  audit: EVIDENCE,
  "verify-rotation": verifyRotation,
  migrate,
  "retire-versions": retireVersions,
  "restore-versions": restoreVersions,
  "rebuild-registry": rebuildRegistry,
  config,
  "unwrap-secret-id": unwrapSecretId,
  version,
} as const;

export function reportJsonSchema(name: string, schema: v.GenericSchema): unknown {
  return {
    title: `bao-kms-provider ${name} --output json`,
    ...toJsonSchema(schema, { target: "draft-2020-12", errorMode: "ignore" }),
  };
}
