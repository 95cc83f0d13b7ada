/** @module What is true of every registry, and of every step from one to the next. */
import { IDENTITY_FIELDS } from "../identity/fingerprint.ts";
import {
  activeVersion,
  MAX_CHAIN,
  type RegistryContent,
  type RegistryRecord,
  type VersionRecord,
} from "./record.ts";

/** The first rule that the record breaks, for the operator; `undefined` when it breaks none. */
export function recordProblem(record: RegistryRecord): string | undefined {
  if (record.previousHashes.length !== Math.min(record.generation - 1, MAX_CHAIN)) {
    return `generation ${record.generation} does not fit a chain of ${record.previousHashes.length} hashes`;
  }
  return versionsProblem(record.versions) ?? observationProblem(record);
}

function versionsProblem(versions: readonly VersionRecord[]): string | undefined {
  const active = versions.filter((each) => each.state === "active");
  const [current] = active;
  if (current === undefined || active.length > 1) {
    return `${active.length} versions are active, not exactly one`;
  }
  const accepted = new Set<number>();
  let previous: VersionRecord | undefined;
  for (const each of versions) {
    if (previous !== undefined && !isBefore(previous, each)) {
      return `version ${each.version} is out of order or listed twice`;
    }
    previous = each;
    if (each.state === "rejected") {
      continue;
    }
    if (accepted.has(each.version)) {
      return `version ${each.version} is accepted with two creation times`;
    }
    accepted.add(each.version);
    if (each.state === "pending" && each.version < current.version) {
      return `version ${each.version} is pending below the active version ${current.version}`;
    }
    if ((each.state === "retired" || each.state === "removed") && each.version > current.version) {
      return `version ${each.version} is ${each.state} above the active version ${current.version}`;
    }
  }
  const alone = versions.find((each) => each.state === "rejected" && !accepted.has(each.version));
  return alone === undefined ? undefined : `version ${alone.version} is rejected but contradicts nothing`;
}

function isBefore(a: VersionRecord, b: VersionRecord): boolean {
  return a.version < b.version || (a.version === b.version && a.createdAtUnix < b.createdAtUnix);
}

function observationProblem({ observation, versions }: RegistryContent): string | undefined {
  if (observation === undefined) {
    return undefined;
  }
  const observed = versions.find(
    (each) => each.version === observation.version && each.createdAtUnix === observation.createdAtUnix,
  );
  return observed?.state === "pending"
    ? undefined
    : `version ${observation.version} is observed but not pending`;
}

/** The first rule that the step breaks: the active version never goes back, and nothing ever seen is forgotten. */
export function successorProblem(before: RegistryContent, after: RegistryContent): string | undefined {
  const from = activeVersion(before);
  const to = activeVersion(after);
  if (to.version < from.version) {
    return `the active version would go back from ${from.version} to ${to.version}`;
  }
  const known = new Map(after.versions.map((each) => [`${each.version}/${each.createdAtUnix}`, each]));
  for (const each of before.versions) {
    const now = known.get(`${each.version}/${each.createdAtUnix}`);
    if (now === undefined) {
      return `version ${each.version} would be forgotten`;
    }
    if ((now.state === "rejected") !== (each.state === "rejected")) {
      return `version ${each.version} would change from ${each.state} to ${now.state}`;
    }
    if (each.marker !== undefined && now.marker === undefined) {
      return `the marker of version ${each.version} would be forgotten`;
    }
  }
  const [notes, kept] = [before.notes ?? [], after.notes ?? []];
  if (notes.some((note, index) => JSON.stringify(note) !== JSON.stringify(kept[index]))) {
    return "a note would be forgotten";
  }
  const changed = IDENTITY_FIELDS.find((field) => after.identity[field] !== before.identity[field]);
  return changed === undefined ? undefined : `the identity would change in ${changed}`;
}
