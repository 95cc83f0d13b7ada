/** @module Evidence in the words of rotation's plans. */
import type { Usage } from "../key/rotation/usage.ts";
import type { Evidence, SourceAudit } from "./evidence.ts";

export function keyUsages({ audits, configuration }: Evidence): readonly Usage[] {
  return audits.map((audit) => usageOf(audit, configuration?.fingerprint));
}

function usageOf({ source, resources, keyIds }: SourceAudit, fingerprint: string | undefined): Usage {
  const damaged = resources
    .flatMap(({ groups }) => groups)
    .filter(({ kind }) => kind === "damaged" || kind === "unknown")
    .reduce((sum, { objects }) => sum + objects, 0);
  return {
    name: source.kind === "etcd" ? `etcd cluster ${source.clusterId}` : source.file,
    kind: source.kind === "etcd" ? "live" : source.integrity === "verified" ? "snapshot" : "bare",
    readAtUnixMs: Date.parse(source.readAt),
    fingerprint,
    objectsByKeyId: new Map(keyIds.map(({ keyId, objects }) => [keyId, objects])),
    statedVersions: new Map(keyIds.map(({ keyId, version }) => [keyId, version])),
    damaged,
    liveApiServers: source.kind === "etcd" ? source.apiServers : 0,
  };
}
