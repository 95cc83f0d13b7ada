/** @module What happens to the key, for log and metrics: a closed set of events whose fields are safe to log. */
import type { ErrorClass, ProviderError } from "../../base/error-class.ts";
import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import { hashText } from "../identity/key-scope.ts";
import type { RegistryContent } from "../registry/record.ts";
import { FINDINGS, type KeyFinding } from "./finding.ts";
import type { KeyHandle } from "./key-handles.ts";
import { lostFinding, type ProbeHistory, presentFindings, type RotationPolicy } from "./probe-history.ts";

type KeyEventName =
  | "status.probe"
  | "registry.loaded"
  | "registry.created"
  | "registry.adopted"
  | "registry.write"
  | "rotation.pending"
  | "rotation.observed"
  | "rotation.promoted"
  | "rotation.rejected"
  | "rotation.profile"
  | "rotation.lost"
  | "rotation.recovered";

export interface KeyEvent {
  readonly name: KeyEventName;
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: KeyEventFields;
}

export interface KeyEventFields {
  readonly status?: "ok" | "error";
  readonly probeKind?: "metadata" | "deep" | "discovery";
  readonly durationMs?: number;
  readonly healthz?: string;
  readonly generation?: number;
  readonly transitKeyVersion?: number;
  readonly keyIdHash?: string;
  readonly errorClass?: ErrorClass;
  readonly code?: string;
  readonly reason?: string;
  readonly advice?: string | undefined;
}

export function errorFields(error: ProviderError): KeyEventFields {
  const { errorClass, code, message, advice } = error;
  return { errorClass, code, reason: message, advice };
}

function findingFields({ code, message, advice }: KeyFinding): KeyEventFields {
  return { code, reason: message, advice };
}

export function keyFields({ version, keyId }: KeyHandle): KeyEventFields {
  return { transitKeyVersion: version, keyIdHash: hashText(keyId) };
}

/** What began or ended to be wrong between two snapshots. */
export function findingEvents(
  before: { readonly history: ProbeHistory },
  after: { readonly history: ProbeHistory },
  policy: RotationPolicy,
): readonly KeyEvent[] {
  const was = presentFindings(before.history, policy);
  const is = presentFindings(after.history, policy);
  const lostBefore = lostFinding(before.history, policy);
  const lost = lostFinding(after.history, policy);
  // A loss or a recovery is reported once.
  const began = without(is, was, lost).map(
    (each): KeyEvent => ({
      name: "rotation.profile",
      level: FINDINGS[each.code].effect === "lost" ? "error" : "warn",
      fields: { status: "error", ...findingFields(each) },
    }),
  );
  const ended = without(was, is, lostBefore).map(
    ({ code }): KeyEvent => ({ name: "rotation.profile", level: "info", fields: { status: "ok", code } }),
  );
  if (lost !== undefined && lost.sameFindingKey !== lostBefore?.sameFindingKey) {
    const fields = { errorClass: "transit_key_missing" as const, ...findingFields(lost) };
    return [...ended, ...began, { name: "rotation.lost", level: "error", fields }];
  }
  return lost === undefined && lostBefore !== undefined
    ? [...ended, ...began, { name: "rotation.recovered", level: "info", fields: { code: lostBefore.code } }]
    : [...ended, ...began];
}

/** The findings that are not among `others`, and are not `told` elsewhere. */
function without(
  findings: readonly KeyFinding[],
  others: readonly KeyFinding[],
  told: KeyFinding | undefined,
): readonly KeyFinding[] {
  const known = new Set(
    [...others, ...(told === undefined ? [] : [told])].map(({ sameFindingKey }) => sameFindingKey),
  );
  return findings.filter(({ sameFindingKey }) => !known.has(sameFindingKey));
}

export function changeEvents(
  before: RegistryContent,
  after: RegistryContent,
  handleOf: (version: KeyVersion) => KeyHandle,
): readonly KeyEvent[] {
  const added = after.versions.filter(
    (each) =>
      !before.versions.some(
        (known) => known.version === each.version && known.createdAtUnix === each.createdAtUnix,
      ),
  );
  const observed = after.observation?.version;
  return [
    ...added.map((each): KeyEvent => {
      const fields = keyFields(handleOf(each));
      return each.state === "rejected"
        ? { name: "rotation.rejected", level: "error", fields }
        : { name: "rotation.pending", level: "info", fields };
    }),
    ...(observed !== undefined && observed !== before.observation?.version
      ? [{ name: "rotation.observed", level: "info", fields: { transitKeyVersion: observed } } as const]
      : []),
  ];
}
