/** @module Whether a node without any state may make a registry by itself. Pure. */
import type { KeyNames } from "../../openbao/transit/key-profile.ts";
import type { KeyVersion } from "../identity/key-scope.ts";
import { refusal } from "../registry/errors.ts";
import { assessProfile } from "./assess.ts";
import { RotationError } from "./errors.ts";
import { type Finding, finding } from "./finding.ts";
import type { ProbeAnswer } from "./sightings.ts";

/**
 * The version with which the first registry is made.
 * @throws RegistryError `registry_rotated_without_state`; RotationError `no_key_version` when the key is not fit.
 */
export function firstVersion(answer: ProbeAnswer, statePath: string, names: KeyNames): KeyVersion {
  if (answer.kind === "missing") {
    throw notFit(finding("key_missing", names));
  }
  const { key } = answer;
  const [first] = key.versions;
  if (first?.version !== 1 || key.latestVersion !== 1 || key.versions.length !== 1) {
    throw refusal("registry_rotated_without_state", statePath, statePath);
  }
  const [wrong] = assessProfile(answer, names, first.version);
  if (wrong !== undefined) {
    throw notFit(wrong);
  }
  return first;
}

function notFit(found: Finding): RotationError {
  return new RotationError({
    code: "no_key_version",
    errorClass: found.code === "key_missing" ? "transit_key_missing" : "status_stale",
    message: `a first registry cannot be made: ${found.message}`,
    advice: found.advice,
  });
}
