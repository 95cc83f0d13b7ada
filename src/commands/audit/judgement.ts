/** @module What the envelope of one object says, for an operator who is about to delete the object as corrupt. */
import { assertNever } from "../../base/assert-never.ts";
import type { ObjectGroup } from "../../etcd/evidence.ts";

export type Judgement = "derivable" | "not_derivable" | "not_ours" | "damaged" | "absent";

/** `undefined`: no source has the object. `derived` is known only for versions in this node's registry. */
export function judgementOf(group: ObjectGroup | undefined): Judgement {
  switch (group?.kind) {
    case undefined:
      return "absent";
    case "ours":
      return group.versionFrom === "derived" ? "derivable" : "not_derivable";
    case "plaintext":
    case "local_key":
    case "kms_v1":
    case "kms_v2_other":
      return "not_ours";
    case "damaged":
    case "unknown":
      return "damaged";
    default:
      return assertNever(group);
  }
}

export const JUDGEMENT_TEXT: Readonly<Record<Judgement, string>> = {
  derivable:
    "derivable: a version in this node's registry derives to its key_id. Do not delete it: check with `bao-kms-provider probe` that the provider and OpenBao answer",
  not_derivable:
    "not derivable: no version in this node's registry derives to its key_id. Do not delete it yet: the version may be restored with `bao-kms-provider restore-versions`, or the object belongs to another key",
  not_ours: "not encrypted by this provider: its state has another cause",
  damaged: "damaged: its envelope contradicts itself. Restore it from a backup",
  absent: "in no source under this prefix: check the spelling (secrets/NAMESPACE/NAME) and --etcd-prefix",
};
