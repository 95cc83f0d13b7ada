/**
 * gRPC over the Unix socket: the socket, the sessions behind it, and their orderly end.
 *
 * @module Puts kms-socket.ts and grpc-sessions.ts together. It serves any unary methods; what they mean is not known here.
 */

import type { DescService } from "@bufbuild/protobuf";
import { createServiceImplSpec, type ServiceImpl } from "@connectrpc/connect";
import { createUniversalServiceHandlers, type UniversalHandler } from "@connectrpc/connect/protocol";
import { type GrpcSessions, grpcSessions, type SessionLimits } from "./grpc/grpc-sessions.ts";
import { type UnaryGrpcOptions, unaryGrpc } from "./grpc/unary-grpc.ts";
import { type KmsSocket, type KmsSocketOptions, openKmsSocket } from "./socket/kms-socket.ts";

export interface KmsListenerOptions extends Omit<KmsSocketOptions, "accept"> {
  readonly handlers: readonly UniversalHandler[];
  readonly maxMessageBytes: number;
  readonly limits: SessionLimits;
}

export interface KmsListener {
  /** Why no new connection can come in; `undefined` while all is well. */
  readonly problem: KmsSocket["problem"];
  readonly sessions: number;
  readonly calls: number;
  /** No new connections; calls under way finish for at most `timeoutMs`; then the socket of this process is gone. */
  stop(timeoutMs: number): Promise<void>;
}

/**
 * One kube-apiserver holds a connection or two, whose calls are capped by the service; the rest is room for probes and for
 * the time when a server is replaced by the next.
 */
export const DEFAULT_SESSION_LIMITS: SessionLimits = {
  maxSessions: 64,
  maxStreamsPerSession: 256,
  maxHeaderListBytes: 16_384,
  maxHeaderPairs: 64,
  handshakeTimeoutMs: 5000,
  firstCallTimeoutMs: 30_000,
  requestTimeoutMs: 10_000,
  idleTimeoutMs: 600_000,
  sweepIntervalMs: 1000,
};

/** The service as handlers of unary gRPC calls. */
export function unaryHandlers<S extends DescService>(
  service: S,
  implementation: ServiceImpl<S>,
  options: UnaryGrpcOptions,
): readonly UniversalHandler[] {
  return createUniversalServiceHandlers(createServiceImplSpec(service, implementation), [unaryGrpc(options)]);
}

/** @throws ServerError as openKmsSocket does. */
export async function startKmsListener(options: KmsListenerOptions): Promise<KmsListener> {
  const sessions: GrpcSessions = grpcSessions(options);
  let socket: KmsSocket;
  try {
    socket = await openKmsSocket({ ...options, accept: (each) => sessions.accept(each) });
  } catch (error) {
    await sessions.drain(0);
    throw error;
  }
  return {
    get problem() {
      return socket.problem;
    },
    get sessions() {
      return sessions.sessions;
    },
    get calls() {
      return sessions.calls;
    },
    stop: async (timeoutMs) => {
      await socket.close();
      await sessions.drain(timeoutMs);
    },
  };
}
