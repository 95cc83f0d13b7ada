/**
 * @module Read-only calls to one etcd member, gRPC with the cluster's client certificate, and what their failures mean.
 * @see https://github.com/etcd-io/etcd/blob/main/api/v3rpc/rpctypes/error.go
 */
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { isLastingTlsCode, type TransportError, transportError } from "../../http/errors.ts";
import { transportCodeOf } from "../../http/failure-code.ts";
import { SERVER_VERIFICATION } from "../../http/server-identity.ts";
import { KV, Maintenance, type RangeResponse, type StatusResponse } from "../gen/etcd/rpc_pb.ts";

/** PEM texts; absent for an endpoint without TLS, which is accepted on loopback only. */
export interface EtcdTls {
  readonly ca: Uint8Array;
  /** For an etcd that asks for a client certificate, as kubeadm's does. */
  readonly client: { readonly certificate: Uint8Array; readonly privateKey: Uint8Array } | undefined;
}

export interface RangeCall {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly limit: number;
  /** 0 reads at the newest revision. */
  readonly revision: bigint;
}

export interface EtcdEndpoint {
  readonly url: string;
  /** Throws ConnectError. */
  readonly range: (call: RangeCall, signal: AbortSignal) => Promise<RangeResponse>;
  /** Throws ConnectError. */
  readonly status: (signal: AbortSignal) => Promise<StatusResponse>;
  readonly close: () => void;
}

/** `url` is `https://host:port`, or `http://` on loopback. Nothing is sent before the first call; a larger answer is refused. */
export function etcdEndpoint(
  url: string,
  tls: EtcdTls | undefined,
  limits: { readonly timeoutMs: number; readonly maxAnswerBytes: number },
): EtcdEndpoint {
  const sessionManager = new Http2SessionManager(
    url,
    { pingIntervalMs: 10_000, pingTimeoutMs: 5_000 },
    tls === undefined
      ? {}
      : {
          ca: Buffer.from(tls.ca),
          ...(tls.client === undefined
            ? {}
            : { cert: Buffer.from(tls.client.certificate), key: Buffer.from(tls.client.privateKey) }),
          ...SERVER_VERIFICATION,
          minVersion: "TLSv1.2",
        },
  );
  const transport = createGrpcTransport({
    baseUrl: url,
    sessionManager,
    acceptCompression: [],
    defaultTimeoutMs: limits.timeoutMs,
    readMaxBytes: limits.maxAnswerBytes,
    writeMaxBytes: 65_536,
  });
  const kv = createClient(KV, transport);
  const maintenance = createClient(Maintenance, transport);
  return {
    url,
    range: ({ limit, ...call }, signal) => kv.range({ ...call, limit: BigInt(limit) }, { signal }),
    status: (signal) => maintenance.status({}, { signal }),
    close: () => sessionManager.abort(),
  };
}

export type CallFailure =
  /** Ask again, best another member. */
  | "try_again"
  /** The revision is gone: everything read so far describes a state that can no longer be completed. */
  | "compacted"
  /** The answer was larger than what is taken: ask for fewer objects. */
  | "too_large"
  | "denied"
  | "invalid";

const MEANING: Readonly<Record<Code, CallFailure>> = {
  [Code.Canceled]: "try_again",
  [Code.Unknown]: "try_again",
  [Code.InvalidArgument]: "denied",
  [Code.DeadlineExceeded]: "try_again",
  [Code.NotFound]: "invalid",
  [Code.AlreadyExists]: "invalid",
  [Code.PermissionDenied]: "denied",
  [Code.ResourceExhausted]: "too_large",
  [Code.FailedPrecondition]: "try_again",
  [Code.Aborted]: "try_again",
  [Code.OutOfRange]: "try_again",
  [Code.Unimplemented]: "invalid",
  [Code.Internal]: "try_again",
  [Code.Unavailable]: "try_again",
  [Code.DataLoss]: "invalid",
  [Code.Unauthenticated]: "denied",
};

/**
 * `OutOfRange` is both a compacted revision and one that a member behind the others has not seen yet; `ResourceExhausted`
 * is both our own bound and an etcd that is asked too much.
 */
export function callFailure(error: unknown): CallFailure {
  const { code, rawMessage } = ConnectError.from(error);
  if (code === Code.OutOfRange && rawMessage.includes("compacted")) {
    return "compacted";
  }
  if (code === Code.ResourceExhausted && rawMessage.includes("too many requests")) {
    return "try_again";
  }
  return MEANING[code];
}

const NAMES = {
  what: "etcd",
  addressField: "--etcd-endpoints",
  caField: "--etcd-ca",
  serverNameField: "--etcd-endpoints",
} as const;

export function connectionFailure(
  thrown: unknown,
  url: string,
  signal: AbortSignal,
): { readonly error: TransportError; readonly isLasting: boolean } {
  const { code: grpcCode, cause } = ConnectError.from(thrown);
  const code = grpcCode === Code.DeadlineExceeded ? "timeout" : transportCodeOf(cause, signal);
  return { error: transportError(code, NAMES, url, thrown), isLasting: isLastingTlsCode(code) };
}
