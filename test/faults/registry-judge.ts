/**
 * What must be true of the registry on disk whenever a process that wrote it has died.
 *
 * @module One look at a time, each compared with the one before. Who dies, and when, is kill-storm.ts and command-storm.ts.
 */
import { readFileSync } from "node:fs";
import { decodeRecord } from "../../src/key/registry/encoding.ts";
import type { VersionRecord } from "../../src/key/registry/record.ts";

export type RegistryJudge = ReturnType<typeof registryJudge>;

export function registryJudge(statePath: string) {
  let generation = 0;
  let active = 0;
  let promotions = 0;
  let hash = "";
  let versions: readonly VersionRecord[] = [];

  return {
    /** What is wrong with it: it must be whole, with one active version, and in nothing behind the last look. */
    look: (): readonly string[] => {
      const decoded = decodeRecord(readFileSync(statePath));
      if (decoded.kind === "refused") {
        return [`the registry is refused: ${decoded.code}`];
      }
      const { record } = decoded;
      const problems: string[] = [];
      const actives = record.versions.filter(({ state }) => state === "active");
      const now = actives[0]?.version ?? 0;
      if (actives.length !== 1) {
        problems.push(`${actives.length} versions are active`);
      }
      if (record.generation < generation || now < active) {
        problems.push(
          `generation ${generation} became ${record.generation}, version ${active} became ${now}`,
        );
      }
      promotions += now > active && active > 0 ? 1 : 0;
      ({ generation, versions } = record);
      ({ hash } = decoded);
      active = now;
      return problems;
    },
    /** Of the last look. */
    versions: () => versions,
    hash: () => hash,
    /** How often the active version was another one than at the look before. */
    promotions: () => promotions,
    /** A registry that is made again begins to count its generations anew. */
    expectRebuilt: () => {
      generation = 0;
    },
  };
}
