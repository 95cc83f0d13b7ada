/** @module A lost registry, made again from what storage and Transit show. Pure. */
import { assertNever } from "../../base/assert-never.ts";
import type { KeyMetadata, KeyVersion } from "../../openbao/transit/key-metadata.ts";
import { type ConfigIdentity, identityHashes } from "../identity/fingerprint.ts";
import { deriveKeyId } from "../identity/key-id.ts";
import type { RegistryContent, RegistryNote, VersionRecord } from "../registry/record.ts";
import { MAX_EVIDENCE_AGE_MS } from "./plan-retire.ts";
import { type Blocker, blocker, presentBlockers, type Usage } from "./usage.ts";

export interface RebuildInput {
  readonly identity: ConfigIdentity;
  readonly fingerprint: string;
  readonly metadata: KeyMetadata;
  readonly expectedKeyId: string | undefined;
  /** Versions of a registry that the Go implementation wrote, which may hold more than Transit shows. */
  readonly handedOver: readonly KeyVersion[];
  readonly usages: readonly Usage[];
  /** A person gives up what cannot be derived. */
  readonly abandon: { readonly by: string; readonly reason: string } | undefined;
  readonly nowUnixMs: number;
}

/** Objects of a key_id that no version derives to. */
interface Unreadable {
  readonly keyId: string;
  readonly statedVersion: number;
  readonly objects: number;
  readonly where: string;
  readonly why: "hidden" | "made_again" | "gone";
}

export interface RebuildPlan {
  /** The registry to be; absent while blockers stand. */
  readonly content: RegistryContent | undefined;
  readonly unreadable: readonly Unreadable[];
  readonly blockers: readonly Blocker[];
}

export function planRebuild(input: RebuildInput): RebuildPlan {
  const versions = knownVersions(input);
  const byKeyId = new Map(versions.map((version) => [deriveKeyId(input.identity, version), version]));
  const unreadable = input.usages.flatMap((usage) => unreadableIn(usage, byKeyId, input.metadata));
  const active = activeOf(input, versions, byKeyId);
  const blockers = [
    ...sourceBlockers(input),
    ...("code" in active ? [active] : []),
    ...(input.abandon === undefined ? unreadable.map(unreadableBlocker) : []),
  ];
  return {
    content:
      "code" in active || blockers.length > 0 ? undefined : contentOf(input, versions, active, unreadable),
    unreadable,
    blockers,
  };
}

/** What Transit shows, and below it what was handed over; Transit wins where both know a number. */
function knownVersions({ metadata, handedOver }: RebuildInput): readonly KeyVersion[] {
  const shown = new Set(metadata.versions.map(({ version }) => version));
  return [...metadata.versions, ...handedOver.filter(({ version }) => !shown.has(version))]
    .map(({ version, createdAtUnix }) => ({ version, createdAtUnix }))
    .sort((a, b) => a.version - b.version);
}

/** The newest version that is proven to be in use; without any object of ours, the newest there is. */
function activeOf(
  { expectedKeyId, usages }: RebuildInput,
  versions: readonly KeyVersion[],
  byKeyId: ReadonlyMap<string, KeyVersion>,
): KeyVersion | Blocker {
  const stored = usages
    .flatMap(({ objectsByKeyId }) => [...objectsByKeyId.keys()])
    .flatMap((keyId) => byKeyId.get(keyId) ?? []);
  const expected = expectedKeyId === undefined ? undefined : byKeyId.get(expectedKeyId);
  if (expectedKeyId !== undefined && expected === undefined) {
    return blocker(
      "expected_not_derivable",
      "the expected key_id does not derive from any version that Transit shows",
      "compare the fingerprint of `bao-kms-provider config` with that node's, and check whether the key was created again",
    );
  }
  const used = new Set(expected === undefined ? stored : [...stored, expected]);
  const newest = versions.findLast((each) => used.size === 0 || used.has(each));
  return newest === undefined
    ? blocker(
        "no_versions",
        "Transit shows no version of the key",
        "check transit.keyName and transit.mountPath",
      )
    : newest;
}

function sourceBlockers(input: RebuildInput): Blocker[] {
  const { usages, expectedKeyId, handedOver, metadata, fingerprint, nowUnixMs } = input;
  const live = usages.filter(({ kind }) => kind === "live");
  const changed = handedOver.filter(({ version, createdAtUnix }) =>
    metadata.versions.some((each) => each.version === version && each.createdAtUnix !== createdAtUnix),
  );
  const isProven = expectedKeyId !== undefined || handedOver.length > 0 || live.length > 0;
  return [
    ...presentBlockers(
      !isProven &&
        blocker(
          "no_proof",
          "nothing shows which versions are in use",
          "give --expected-key-id from the probe of a healthy node, or --etcd-endpoints for an audit of the running etcd",
        ),
    ),
    ...changed.map(({ version }) =>
      blocker(
        "made_again",
        `Transit's version ${version} differs from the one in the registry that is taken over`,
        "check whether the key was created again, or the configuration names another key",
      ),
    ),
    ...live
      .filter(({ readAtUnixMs }) => Math.abs(nowUnixMs - readAtUnixMs) > MAX_EVIDENCE_AGE_MS)
      .map(({ name }) =>
        blocker(
          "stale_evidence",
          `${name} was audited more than ${MAX_EVIDENCE_AGE_MS / 60_000} minutes ago`,
          "audit it again",
        ),
      ),
    ...usages
      .filter((usage) => usage.fingerprint !== fingerprint)
      .map(({ name }) =>
        blocker(
          "other_fingerprint",
          `${name} was audited with another configuration, or without one`,
          "audit it again with the --config of this node",
        ),
      ),
  ];
}

function unreadableIn(
  { name, objectsByKeyId, statedVersions }: Usage,
  byKeyId: ReadonlyMap<string, KeyVersion>,
  { versions, minDecryptionVersion }: KeyMetadata,
): Unreadable[] {
  return [...objectsByKeyId]
    .filter(([keyId]) => !byKeyId.has(keyId))
    .map(([keyId, objects]) => {
      const statedVersion = statedVersions.get(keyId) ?? 0;
      const isShown = versions.some(({ version }) => version === statedVersion);
      const why = isShown ? "made_again" : statedVersion < minDecryptionVersion ? "hidden" : "gone";
      return { keyId, statedVersion, objects, where: name, why };
    });
}

function unreadableBlocker({ statedVersion, objects, where, why }: Unreadable): Blocker {
  const what = `${where}: ${objects} objects say that they need version ${statedVersion}`;
  switch (why) {
    case "hidden":
      return blocker(
        "hidden_version",
        `${what}, which Transit hides`,
        `lower min_decryption_version to ${statedVersion}, then plan again`,
      );
    case "made_again":
      return blocker(
        "made_again",
        `${what}, but Transit's version ${statedVersion} differs: the key was created again or restored, or the configuration names another key`,
        "restore OpenBao from a backup that has the key, or correct the identity in the configuration",
      );
    case "gone":
      return blocker(
        "gone",
        `${what}, which Transit does not have`,
        "restore OpenBao from a backup that has it",
      );
    default:
      return assertNever(why);
  }
}

function contentOf(
  { identity, fingerprint, abandon, nowUnixMs }: RebuildInput,
  versions: readonly KeyVersion[],
  active: KeyVersion,
  unreadable: readonly Unreadable[],
): RegistryContent {
  const notes: RegistryNote[] = [
    { atUnixMs: nowUnixMs, kind: "rebuilt", by: "rebuild-registry", reason: "the registry was lost" },
    ...(abandon === undefined
      ? []
      : [
          {
            atUnixMs: nowUnixMs,
            kind: "abandoned",
            by: abandon.by,
            reason: `${abandon.reason} (versions ${unreadable.map(({ statedVersion }) => statedVersion).join(", ")})`,
          },
        ]),
  ];
  return {
    identity: identityHashes(identity),
    fingerprint,
    versions: versions.map(
      (each): VersionRecord => ({
        ...each,
        state:
          each.version === active.version ? "active" : each.version > active.version ? "pending" : "retired",
        firstSeenUnixMs: nowUnixMs,
        ...(each.version === active.version ? { activatedUnixMs: nowUnixMs } : {}),
      }),
    ),
    notes,
  };
}
