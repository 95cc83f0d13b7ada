/**
 * @module Members of an etcd cluster in memory, and one read from them on a clock of its own. The stand-in for the endpoints
 * of src/etcd/reader/endpoint.ts.
 */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import {
  type RangeResponse,
  RangeResponseSchema,
  StatusResponseSchema,
} from "../../../src/etcd/gen/etcd/rpc_pb.ts";
import type { EtcdEndpoint, RangeCall } from "../../../src/etcd/reader/endpoint.ts";
import { readLive } from "../../../src/etcd/reader/live.ts";
import type { ReadProgress } from "../../../src/etcd/reader/record.ts";

export const PREFIX = "/registry/";

interface Stored {
  readonly key: string;
  readonly value: Uint8Array;
  readonly modRevision: bigint;
}

/** What a member does with a call: throw, or answer as etcd would, or something else. */
export type Behaviour = (call: RangeCall, honest: () => RangeResponse) => RangeResponse;

export interface Member extends EtcdEndpoint {
  readonly calls: RangeCall[];
}

export const REVISION = 90n;

export function stored(count: number, size = 1): readonly Stored[] {
  return Array.from({ length: count }, (_, n) => ({
    key: `${PREFIX}secrets/s${String(n).padStart(5, "0")}`,
    value: Buffer.alloc(size),
    modRevision: BigInt((n % 90) + 1),
  }));
}

export function member(
  objects: readonly Stored[],
  {
    url = "https://a:2379",
    cluster = 0xabcn,
    statusCluster = cluster,
    behave = (_, honest) => honest(),
  }: {
    readonly url?: string;
    readonly cluster?: bigint;
    readonly statusCluster?: bigint | Error;
    readonly behave?: Behaviour;
  } = {},
): Member {
  const sorted = objects.map((each) => ({ ...each, key: Buffer.from(each.key) }));
  sorted.sort((a, b) => Buffer.compare(a.key, b.key));
  const calls: RangeCall[] = [];
  return {
    url,
    calls,
    range: async (call) => {
      calls.push(call);
      return behave(call, () => {
        const rest = sorted.filter(
          ({ key }) => Buffer.compare(key, call.key) >= 0 && Buffer.compare(key, call.rangeEnd) < 0,
        );
        return create(RangeResponseSchema, {
          header: { clusterId: cluster, revision: REVISION },
          kvs: rest.slice(0, call.limit),
          more: rest.length > call.limit,
          count: BigInt(rest.length),
        });
      });
    },
    status: async () => {
      if (statusCluster instanceof Error) {
        throw statusCluster;
      }
      return create(StatusResponseSchema, { header: { clusterId: statusCluster } });
    },
    close: () => {},
  };
}

export interface Run {
  readonly read: Awaited<ReturnType<typeof readLive>> | undefined;
  readonly error: unknown;
  readonly entries: readonly { readonly key: string; readonly modRevision: number }[];
  readonly resets: number;
  readonly sleeps: readonly number[];
  readonly progress: readonly ReadProgress[];
}

/** One read on a clock on which only sleeping and `msPerCall` pass time. */
export async function readFrom(
  endpoints: readonly EtcdEndpoint[],
  {
    objectsPerSecond = 1_000_000,
    msPerCall = 0,
    signal = new AbortController().signal,
    onEntry = () => {},
  }: {
    readonly objectsPerSecond?: number;
    readonly msPerCall?: number;
    readonly signal?: AbortSignal;
    readonly onEntry?: () => void;
  } = {},
): Promise<Run> {
  let now = 1000;
  let resets = 0;
  let entries: { key: string; modRevision: number }[] = [];
  const sleeps: number[] = [];
  const progress: ReadProgress[] = [];
  const clock: Clock = {
    ...systemClock,
    wallMs: () => 1_800_000_000_000 + now,
    monotonicMs: () => now,
    sleep: async (ms, stop) => {
      stop?.throwIfAborted();
      sleeps.push(ms);
      now += ms;
    },
  };
  const timed = endpoints.map((endpoint) => ({
    ...endpoint,
    range: (call: RangeCall, stop: AbortSignal) => {
      now += msPerCall;
      return endpoint.range(call, stop);
    },
  }));
  const outcome = await readLive(
    Buffer.from(PREFIX),
    {
      reset: () => {
        resets += 1;
        entries = [];
      },
      add: ({ key, modRevision }) => {
        entries.push({ key: Buffer.from(key).toString(), modRevision });
        onEntry();
      },
    },
    { endpoints: timed, clock, signal, objectsPerSecond, onProgress: (each) => progress.push(each) },
  ).then(
    (read) => ({ read, error: undefined }),
    (error: unknown) => ({ read: undefined, error }),
  );
  return { ...outcome, entries, resets, sleeps, progress };
}

export const fails = (code: Code, text = ""): never => {
  throw new ConnectError(text, code);
};
export const unavailable: Behaviour = () => fails(Code.Unavailable);
