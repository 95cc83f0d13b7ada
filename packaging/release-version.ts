/** @module The release's version, and its day from CHANGELOG.md: every time stamp in every artefact is that day. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import manifest from "../package.json";

export interface ReleaseVersion {
  readonly version: string;
  /** Seconds since 1970 of the release day, 00:00 UTC: SOURCE_DATE_EPOCH. */
  readonly epochSeconds: number;
  /** The release's section of the changelog, without its heading. */
  readonly notes: string;
}

/** Throws when the changelog has no heading `## VERSION (YYYY-MM-DD)` for the version of package.json. */
export function releaseVersion(root: string): ReleaseVersion {
  return findRelease(manifest.version, readFileSync(join(root, "CHANGELOG.md"), "utf8"));
}

export function findRelease(version: string, changelog: string): ReleaseVersion {
  const sections = changelog.split(/^## /m).slice(1);
  for (const section of sections) {
    const [heading = "", ...body] = section.split("\n");
    const [, named, day] = /^(\S+) \((\d{4}-\d{2}-\d{2})\)$/.exec(heading) ?? [];
    if (named === version && day !== undefined) {
      return { version, epochSeconds: Date.parse(`${day}T00:00:00Z`) / 1000, notes: body.join("\n").trim() };
    }
  }
  throw new Error(`CHANGELOG.md has no heading "## ${version} (YYYY-MM-DD)"; write it before the release`);
}
