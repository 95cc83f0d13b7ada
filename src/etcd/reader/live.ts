/** @module Every object of a running etcd at one revision. A lost connection continues with another member; a compaction starts again. */
import { backoffMs } from "../../base/backoff.ts";
import { countOf } from "../../base/words.ts";
import type { TransportError } from "../../http/errors.ts";
import { auditError } from "../errors.ts";
import type { AuditSource } from "../evidence.ts";
import type { KeyValue, RangeResponse } from "../gen/etcd/rpc_pb.ts";
import {
  type CallFailure,
  callFailure,
  connectionFailure,
  type EtcdEndpoint,
  type RangeCall,
} from "./endpoint.ts";
import type { EntrySink, ReadOptions } from "./record.ts";

/** The first page is small, because nothing is known yet about the size of the objects. */
const FIRST_LIMIT = 16;
const MAX_LIMIT = 2000;
/** What an answer should come to; the number of objects asked for follows from it. */
const WANTED_ANSWER_BYTES = 4 * 1024 * 1024;
const MAX_ATTEMPTS = 12;
const MAX_PAUSE_MS = 5_000;
const FIRST_PAUSE_MS = 250;
const MAX_RESTARTS = 3;

interface LiveOptions extends ReadOptions {
  /** Members of one cluster, one or more, in the order in which they are asked. */
  readonly endpoints: readonly EtcdEndpoint[];
  /** The most objects that are read in a second. */
  readonly objectsPerSecond: number;
}

interface LiveRead
  extends Pick<Extract<AuditSource, { kind: "etcd" }>, "clusterId" | "revision" | "restarts"> {
  readonly readAtUnixMs: number;
}

/** Adds each object under `prefix`, which ends in a slash, once, in the order of keys. Throws AuditError `etcd_*`, or the signal's reason. */
export async function readLive(prefix: Uint8Array, sink: EntrySink, options: LiveOptions): Promise<LiveRead> {
  await assertOneCluster(options);
  const range = rangeOfCluster(options);
  for (let restarts = 0; restarts <= MAX_RESTARTS; restarts++) {
    sink.reset();
    const read = await readOneRevision(prefix, sink, range, options);
    if (read !== "compacted") {
      return { ...read, restarts };
    }
  }
  throw auditError("etcd_compacted", {
    message: `the audited revision was compacted before the audit was complete, ${MAX_RESTARTS + 1} times in a row`,
    advice:
      "raise --etcd-rate, or take a snapshot with `etcdctl snapshot save` and audit that with --snapshot",
  });
}

async function readOneRevision(
  prefix: Uint8Array,
  sink: EntrySink,
  range: RangeOfCluster,
  { clock, signal, objectsPerSecond, onProgress }: LiveOptions,
): Promise<Omit<LiveRead, "restarts"> | "compacted"> {
  const rangeEnd = endOfPrefix(prefix);
  const readAtUnixMs = clock.wallMs();
  let key = prefix;
  let limit = FIRST_LIMIT;
  let revision = 0n;
  let done = 0;
  for (;;) {
    const startedMs = clock.monotonicMs();
    const answer = await range({ key, rangeEnd, limit, revision });
    if (answer === "compacted") {
      return "compacted";
    }
    if (answer === "too_large") {
      limit = smallerLimit(limit);
      continue;
    }
    const { page, header } = answer;
    revision ||= header.revision;
    const lastKey = checkPage(page, key, rangeEnd, limit, revision);
    for (const { key: objectKey, value, modRevision } of page.kvs) {
      sink.add({ key: objectKey, value, modRevision: Number(modRevision) });
    }
    done += page.kvs.length;
    onProgress({ phase: "count", done, total: done + Number(page.count) - page.kvs.length });
    if (!page.more || lastKey === undefined) {
      return { clusterId: header.clusterId.toString(16), revision: Number(revision), readAtUnixMs };
    }
    key = Buffer.concat([lastKey, Buffer.of(0)]);
    const pageMs = (page.kvs.length / objectsPerSecond) * 1000;
    limit = nextLimit(limit, page.kvs);
    await clock.sleep(Math.max(0, pageMs - (clock.monotonicMs() - startedMs)), signal);
  }
}

/** Asks every endpoint for its cluster; one that does not answer now is left to the read itself. */
async function assertOneCluster({ endpoints, signal }: LiveOptions): Promise<void> {
  const answers = await Promise.allSettled(endpoints.map((endpoint) => endpoint.status(signal)));
  let known: bigint | undefined;
  for (const [index, answer] of answers.entries()) {
    const cluster = answer.status === "fulfilled" ? answer.value.header?.clusterId : undefined;
    known ??= cluster;
    if (cluster !== undefined && cluster !== known) {
      throw otherCluster(endpoints[index]?.url ?? "");
    }
  }
}

type RangeOfCluster = ReturnType<typeof rangeOfCluster>;

/** Asks one member until it fails, then the next; waits after each round. */
function rangeOfCluster({ endpoints, clock, signal }: LiveOptions) {
  let current = 0;
  let knownCluster: bigint | undefined;
  return async (call: RangeCall) => {
    for (let attempt = 1; ; attempt++) {
      const endpoint = endpoints[current % endpoints.length];
      if (endpoint === undefined) {
        throw new RangeError("no endpoints");
      }
      const page = await endpoint.range(call, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        return outcome(error, endpoint.url, attempt, endpoints.length, signal);
      });
      if (typeof page === "object") {
        const { header } = page;
        if (header === undefined) {
          throw invalidPage();
        }
        knownCluster ??= header.clusterId;
        if (header.clusterId !== knownCluster) {
          throw otherCluster(endpoint.url);
        }
        return { page, header };
      }
      if (page !== "try_again") {
        return page;
      }
      current += 1;
      if (attempt % endpoints.length === 0) {
        await clock.sleep(backoffMs(FIRST_PAUSE_MS, MAX_PAUSE_MS, attempt / endpoints.length), signal);
      }
    }
  };
}

/** What is left to the caller; everything that ends the audit is thrown. */
function outcome(
  error: unknown,
  url: string,
  attempt: number,
  members: number,
  signal: AbortSignal,
): Exclude<CallFailure, "denied" | "invalid"> {
  const failure = callFailure(error);
  if (failure === "denied") {
    throw auditError("etcd_denied", {
      message: `etcd at ${url} refused the read`,
      advice:
        "check --etcd-cert and --etcd-key: they must be a client certificate that this etcd accepts for reading",
      cause: error,
    });
  }
  if (failure === "invalid") {
    throw auditError("etcd_reply_invalid", {
      message: `${url} does not answer like etcd with the v3 API`,
      advice: "check --etcd-endpoints: it needs the client port (2379), not the peer port",
      cause: error,
    });
  }
  if (failure !== "try_again") {
    return failure;
  }
  const failed = connectionFailure(error, url, signal);
  // Each member has been asked once, and the cause is permanent.
  if (attempt >= MAX_ATTEMPTS || (failed.isLasting && attempt >= members)) {
    throw auditError("etcd_unreachable", {
      message: `no etcd endpoint answered, in ${countOf(attempt, "attempt")}; last: ${failed.error.message}`,
      advice: `${adviceOf(failed.error)}; an etcd without quorum answers no reads`,
      cause: error,
    });
  }
  return failure;
}

function adviceOf({ code, advice }: TransportError): string {
  return code === "tls_client_refused"
    ? "check --etcd-cert and --etcd-key: they must be a client certificate that this etcd accepts"
    : code === "timeout" || advice === undefined
      ? "check --etcd-endpoints, --etcd-ca, --etcd-cert and the network"
      : advice;
}

function otherCluster(url: string): Error {
  return auditError("etcd_other_cluster", {
    message: `${url} belongs to another etcd cluster than the endpoint before it`,
    advice: "name only members of one cluster in --etcd-endpoints; audit other clusters one by one",
  });
}

/** That the page is the part of the range that was asked for, in order; the last key in it. */
function checkPage(
  { kvs, more }: RangeResponse,
  from: Uint8Array,
  rangeEnd: Uint8Array,
  limit: number,
  revision: bigint,
): Uint8Array | undefined {
  let previous: Uint8Array | undefined;
  for (const { key, modRevision } of kvs) {
    const ascends =
      previous === undefined ? Buffer.compare(key, from) >= 0 : Buffer.compare(key, previous) > 0;
    if (!ascends || Buffer.compare(key, rangeEnd) >= 0 || modRevision <= 0n || modRevision > revision) {
      throw invalidPage();
    }
    previous = key;
  }
  if (kvs.length > limit || (more && previous === undefined)) {
    throw invalidPage();
  }
  return previous;
}

function invalidPage(): Error {
  return auditError("etcd_reply_invalid", {
    message: "an etcd endpoint answered with objects that were not requested",
    advice: "check that --etcd-endpoints names etcd itself and not a proxy",
  });
}

function smallerLimit(limit: number): number {
  if (limit === 1) {
    throw auditError("etcd_object_too_large", {
      message: "one stored object is larger than the audit reads from a running etcd",
      advice: "take a snapshot with `etcdctl snapshot save` and audit that with --snapshot",
    });
  }
  return Math.max(1, Math.floor(limit / 4));
}

function nextLimit(limit: number, kvs: readonly KeyValue[]): number {
  const bytes = kvs.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
  const fitting = Math.floor((WANTED_ANSWER_BYTES * kvs.length) / Math.max(1, bytes));
  return Math.max(1, Math.min(MAX_LIMIT, limit * 2, fitting));
}

/** The first key behind all that start with `prefix`, which ends in a slash: its last byte raised by one. */
function endOfPrefix(prefix: Uint8Array): Uint8Array {
  return Buffer.concat([prefix.subarray(0, -1), Buffer.of((prefix.at(-1) ?? 0) + 1)]);
}
