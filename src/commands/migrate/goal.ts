/** @module The two goals of migrate: the active version, or away from this provider. */
import { countOf } from "../../base/words.ts";
import type { CommandContext } from "../../cli/command.ts";
import type { ProviderConfig } from "../../config/schema.ts";
import type { Evidence } from "../../etcd/evidence.ts";
import type { StoredValue } from "../../etcd/stored/stored-value.ts";
import type { ListedObject } from "../../etcd/tally.ts";
import {
  encryptedResources,
  isStale,
  plaintextObjects,
  type Remaining,
  verifyAway,
  verifyRotation,
} from "../../etcd/verify-rotation.ts";
import { deriveKeyId } from "../../key/identity/key-id.ts";
import { activeVersion } from "../../key/registry/record.ts";
import { readLiveKey } from "../key-inspection.ts";
import type { requireRecorded } from "../recorded-versions.ts";

type Recorded = Awaited<ReturnType<typeof requireRecorded>>;

export interface Verdict {
  readonly remaining: readonly Remaining[];
  /** Why nothing is proven although nothing remains. */
  readonly problems: readonly string[];
  /** What an operator must know of the result. */
  readonly warnings: readonly string[];
}

/** A goal in the report's sentences. */
export interface GoalWords {
  /** What objects are rewritten to: "version 4". */
  readonly target: string;
  /** Which objects are counted: "not under version 4". */
  readonly stale: string;
  /** What is true once none is left. */
  readonly reached: string;
}

export const AWAY_WORDS: GoalWords = {
  target: "the provider that the EncryptionConfiguration names first",
  stale: "encrypted by this provider",
  reached: "no object in this etcd needs this provider any more",
};

/** What objects are rewritten to, and which of them. */
export interface Goal {
  readonly words: GoalWords;
  readonly isStale: (object: ListedObject) => boolean;
  /** Whether what an API server has stored is as it should be. */
  readonly isReached: (stored: StoredValue) => boolean;
  readonly judge: (evidence: Evidence) => Verdict;
}

export async function activeGoal(
  config: ProviderConfig,
  { identity, stored, configuration }: Recorded,
  before: Evidence,
  context: CommandContext,
): Promise<Goal> {
  const metadata = await readLiveKey(config, context);
  const active = activeVersion(stored.record);
  const activeKeyId = deriveKeyId(identity, active);
  const encrypted = encryptedResources(before);
  return {
    words: {
      target: `version ${active.version}`,
      stale: `not under version ${active.version}`,
      reached: `every object is encrypted under version ${active.version}`,
    },
    isStale: (object) => isStale(object, activeKeyId, encrypted),
    isReached: (each) => each.kind === "ours" && each.keyId === activeKeyId,
    judge: (evidence) => ({
      ...verifyRotation({
        content: stored.record,
        scope: identity,
        fingerprint: configuration.fingerprint,
        metadata,
        evidence,
      }),
      warnings: [],
    }),
  };
}

/** `identity` as the first provider stores plaintext, and migrate cannot see the EncryptionConfiguration. */
function plaintextWarnings(before: Evidence, evidence: Evidence): readonly string[] {
  const plain = plaintextObjects(before, evidence);
  const now = `${countOf(plain, "object")} of encrypted resources ${plain === 1 ? "is" : "are"} stored in PLAINTEXT: etcd, its backups and its snapshots hold the content readable`;
  const later =
    "where the objects go is what the EncryptionConfiguration names first; when that is identity, they are stored in PLAINTEXT";
  return [...(plain === 0 ? [] : [now]), ...(evidence === before ? [later] : [])];
}

/** Away from this provider, to whichever the EncryptionConfiguration now names first. */
export function awayGoal(
  { identity, stored }: Pick<Recorded, "identity" | "stored">,
  before: Evidence,
): Goal {
  const ourKeyIds = stored.record.versions.map((version) => deriveKeyId(identity, version));
  return {
    words: AWAY_WORDS,
    isStale: ({ group }) => group.kind === "ours",
    isReached: ({ kind }) => kind !== "ours",
    judge: (evidence) => ({
      ...verifyAway(before, evidence, ourKeyIds),
      warnings: plaintextWarnings(before, evidence),
    }),
  };
}
