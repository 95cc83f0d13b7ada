/** @module One audit: a source is read, its objects are counted, and what was not looked at is listed. */
import { posix } from "node:path";
import { type OpenFile, openFile } from "./bolt/file.ts";
import { AuditError, auditError } from "./errors.ts";
import type { AuditSource, SourceAudit } from "./evidence.ts";
import type { EtcdEndpoint } from "./reader/endpoint.ts";
import type { ReadOptions } from "./reader/record.ts";
import { openSnapshot } from "./reader/snapshot.ts";
import { type Tally, type TallyOptions, tally } from "./tally.ts";

export type AuditTarget =
  | { readonly kind: "snapshot"; readonly file: string }
  | { readonly kind: "etcd"; readonly endpoints: readonly EtcdEndpoint[]; readonly objectsPerSecond: number };

type AuditOptions = Omit<TallyOptions, "nowUnixMs"> & ReadOptions;

/**
 * Where kube-apiserver stores objects with this `--etcd-prefix`, with its closing slash: it joins the prefix to "/", so
 * `registry` and `/registry/` are the same. @see k8s.io/apiserver pkg/storage/etcd3 New
 */
export function storedPrefix(etcdPrefix: string): string {
  const joined = posix.join("/", etcdPrefix);
  return joined.endsWith("/") ? joined : `${joined}/`;
}

/** Reads every object of the source once. Throws AuditError, or the signal's reason. */
export async function runAudit(target: AuditTarget, options: AuditOptions): Promise<SourceAudit> {
  const prefix = storedPrefix(options.prefix);
  const counts = tally({ ...options, prefix, nowUnixMs: options.clock.wallMs() });
  const source =
    target.kind === "etcd"
      ? await countLive(target, prefix, counts, options)
      : await countSnapshot(target.file, prefix, counts, options);
  return { source, prefix, ...counts.result() };
}

async function countLive(
  target: Extract<AuditTarget, { kind: "etcd" }>,
  prefix: string,
  counts: Tally,
  options: AuditOptions,
): Promise<AuditSource> {
  // Loaded only when it is needed: the gRPC stack is a third of the memory that an audit of a snapshot takes.
  const { readLive } = await import("./reader/live.ts");
  const read = await readLive(Buffer.from(prefix), counts, { ...target, ...options });
  return {
    kind: "etcd",
    clusterId: read.clusterId,
    endpoints: target.endpoints.map(({ url }) => url),
    revision: read.revision,
    readAt: new Date(read.readAtUnixMs).toISOString(),
    restarts: read.restarts,
    apiServers: counts.apiServers(),
  };
}

async function countSnapshot(
  path: string,
  prefix: string,
  counts: Tally,
  options: AuditOptions,
): Promise<AuditSource> {
  let file: OpenFile | undefined;
  try {
    file = openFile(path);
    const readAt = new Date(options.clock.wallMs()).toISOString();
    const snapshot = await openSnapshot(file, options);
    await snapshot.read(Buffer.from(prefix), counts);
    return {
      kind: "snapshot",
      file: path,
      sha256: snapshot.sha256,
      integrity: snapshot.integrity,
      sizeBytes: snapshot.sizeBytes,
      revision: snapshot.revision,
      readAt,
    };
  } catch (error) {
    if (!(error instanceof AuditError)) {
      throw error;
    }
    // Several snapshots may be read in one run.
    const { code, message, advice, cause } = error;
    throw auditError(code, { message: `${path}: ${message}`, advice, cause });
  } finally {
    file?.close();
  }
}

/** What audits of these sources cannot have seen. */
export function limitationsOf(audits: readonly SourceAudit[], withConfiguration: boolean): string[] {
  const live = audits.some(({ source }) => source.kind === "etcd");
  const bare = audits.filter(({ source }) => source.kind === "snapshot" && source.integrity === "absent");
  const prefixes = new Set(audits.map(({ prefix }) => prefix));
  return [
    live
      ? "objects written to etcd after the audited revision were not seen"
      : "no running etcd was read: objects written after the snapshots were taken were not seen",
    "other etcd clusters that keep a part of the resources (--etcd-servers-overrides) were not seen unless they are listed as a source",
    "backups and snapshots other than those listed were not seen",
    `keys outside the prefix ${[...prefixes].join(", ")} were not counted`,
    ...(bare.length > 0
      ? [
          "a bare database file carries no digest and lacks the writes that are still in the write-ahead log: good for a report, not as evidence",
        ]
      : []),
    ...(withConfiguration
      ? []
      : [
          "no configuration was given: versions are what the objects' own annotations state, not derived from the key",
        ]),
  ];
}
