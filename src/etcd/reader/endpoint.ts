/** @module Read-only calls to one etcd member: gRPC over HTTP/2 with the cluster's client certificate. */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
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

interface EndpointLimits {
  readonly timeoutMs: number;
  /** The largest answer that is taken, in bytes. */
  readonly maxAnswerBytes: number;
}

/** `url` is `https://host:port`, or `http://` on loopback. Nothing is sent before the first call. */
export function etcdEndpoint(url: string, tls: EtcdTls | undefined, limits: EndpointLimits): EtcdEndpoint {
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
