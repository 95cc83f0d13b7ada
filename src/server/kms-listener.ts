/** @module gRPC over the Unix socket, for any unary methods: the socket, the sessions behind it, and their orderly end. */

import type { DescService } from "@bufbuild/protobuf";
import { createServiceImplSpec, type ServiceImpl } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { MAX_BODIES_BYTES } from "./grpc/body-budget.ts";
import { GrpcSessions, type SessionLimits } from "./grpc/grpc-sessions.ts";
import { type UnaryGrpcOptions, unaryGrpc } from "./grpc/unary-grpc.ts";
import { type KmsSocket, type KmsSocketOptions, openKmsSocket } from "./socket/kms-socket.ts";

interface KmsListenerOptions extends Omit<KmsSocketOptions, "accept"> {
  readonly handlers: readonly UniversalHandler[];
  readonly maxMessageBytes: number;
  readonly limits: SessionLimits;
}

export type KmsListener = Awaited<ReturnType<typeof startKmsListener>>;

/**
 * kube-apiserver has one connection, on which Status must not queue behind its Decrypts: hence the many streams of a wide
 * session, which it becomes with its first answer. The memory of all streams together has a bound of its own.
 */
export const DEFAULT_SESSION_LIMITS: SessionLimits = {
  maxSessions: 64,
  maxWaitingConnections: 256,
  maxStreamsPerSession: 16,
  wideSessions: 8,
  maxStreamsPerWideSession: 1024,
  callsPerTurn: 16,
  connectionsPerTurn: 8,
  maxHeaderListBytes: 16_384,
  maxHeaderPairs: 64,
  maxBodiesBytes: MAX_BODIES_BYTES,
  handshakeTimeoutMs: 5000,
  firstCallTimeoutMs: 30_000,
  requestTimeoutMs: 10_000,
  idleTimeoutMs: 600_000,
  greetingGraceMs: 100,
  firstCallGraceMs: 500,
  stallMs: 1000,
  maxRefusedInARow: 64,
  seniorSessions: 32,
  sweepIntervalMs: 1000,
};

/** The service as handlers of unary gRPC calls. */
export function unaryHandlers<S extends DescService>(
  service: S,
  implementation: ServiceImpl<S>,
  options: UnaryGrpcOptions,
): readonly UniversalHandler[] {
  const handlerOf = unaryGrpc(options);
  return Object.values(createServiceImplSpec(service, implementation).methods).map(handlerOf);
}

/** @throws ServerError as openKmsSocket does. */
export async function startKmsListener(options: KmsListenerOptions) {
  const sessions = new GrpcSessions(options);
  let socket: KmsSocket;
  try {
    socket = await openKmsSocket({ ...options, accept: (each) => sessions.accept(each) });
  } catch (error) {
    await sessions.drain(0);
    throw error;
  }
  return {
    /** Why no new connection can come in; `undefined` while all is well. */
    get problem(): KmsSocket["problem"] {
      return socket.problem;
    },
    get sessions(): number {
      return sessions.sessions;
    },
    get calls(): number {
      return sessions.calls;
    },
    /** No new connections; calls in progress finish for at most `timeoutMs`; then the socket of this process is gone. */
    stop: async (timeoutMs: number): Promise<void> => {
      await socket.close();
      await sessions.drain(timeoutMs);
    },
  };
}
