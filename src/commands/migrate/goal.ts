/**
 * What migrate rewrites objects to, and which of them.
 *
 * @module The two goals: the active version, or away from this provider. Rewriting is the same for both.
 */

import type { CommandContext } from "../../cli/command.ts";
import type { ProviderConfig } from "../../config/schema.ts";
import type { Evidence } from "../../etcd/evidence.ts";
import { isStale } from "../../etcd/stale.ts";
import type { ListedObject } from "../../etcd/tally.ts";
import { encryptedResources, type Remaining, stillOurs, verifyRotation } from "../../etcd/verify-rotation.ts";
import { deriveKeyId } from "../../key/identity/key-id.ts";
import { activeVersion } from "../../key/registry/record.ts";
import { readLiveKey } from "../live-key.ts";
import type { requireRecorded } from "../recorded-versions.ts";
import type { StoredUnder } from "./api-servers.ts";

type Recorded = Awaited<ReturnType<typeof requireRecorded>>;

/** What objects are rewritten to, and which of them. */
export interface Goal {
  /** For messages: "version 4". */
  readonly text: string;
  readonly isStale: (object: ListedObject) => boolean;
  readonly isReached: (stored: StoredUnder) => boolean;
  readonly judge: (evidence: Evidence) => {
    readonly remaining: readonly Remaining[];
    readonly problems: readonly string[];
  };
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
    text: `version ${active.version}`,
    isStale: (object) => isStale(object, activeKeyId, encrypted),
    isReached: (each) => each.kind === "ours" && each.keyId === activeKeyId,
    judge: (evidence) =>
      verifyRotation({
        content: stored.record,
        scope: identity,
        fingerprint: configuration.fingerprint,
        metadata,
        evidence,
      }),
  };
}

/** Away from this provider, to whichever the EncryptionConfiguration now names first. */
export function awayGoal(): Goal {
  return {
    text: "another provider",
    isStale: ({ group }) => group.kind === "ours",
    isReached: ({ kind }) => kind === "other",
    judge: (evidence) => ({ remaining: stillOurs(evidence), problems: [] }),
  };
}
