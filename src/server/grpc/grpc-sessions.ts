/**
 * HTTP/2 sessions over accepted connections, each within its limits.
 *
 * @module Bun's HTTP/2 itself ends sessions that flood it with pings, settings, continuations, empty frames or resets (held by
 * test/conformance/hostile.test.ts). What it leaves to the application is here: silence, requests without an end, too
 * many connections, and the orderly end. It counts no bytes for the application, so harmless frames without end (window
 * updates, priorities, unknown types) cost their sender more than us but are ended only by the timeouts. What does not live here: one request (grpc-stream.ts), the
 * socket (kms-socket.ts).
 */
import { performServerHandshake, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { Clock } from "../../base/clock.ts";
import { type StreamCall, serveStream } from "./grpc-stream.ts";
import { SharedTrailers } from "./shared-trailers.ts";
import { ENVELOPE_BYTES } from "./unary-grpc.ts";

export interface SessionLimits {
  readonly maxSessions: number;
  readonly maxStreamsPerSession: number;
  /** Metadata of one request in bytes, as HTTP/2 counts it (RFC 9113, 6.5.2). */
  readonly maxHeaderListBytes: number;
  readonly maxHeaderPairs: number;
  /** From accept to the client's SETTINGS. */
  readonly handshakeTimeoutMs: number;
  /** From accept to the first request: a gRPC client connects because it has one. */
  readonly firstCallTimeoutMs: number;
  /** From a request's headers to the end of its body. */
  readonly requestTimeoutMs: number;
  /** A session without a call for so long is closed in order; a gRPC client connects again by itself. */
  readonly idleTimeoutMs: number;
  readonly sweepIntervalMs: number;
}

export interface GrpcSessionsOptions {
  readonly handlers: readonly UniversalHandler[];
  readonly maxMessageBytes: number;
  readonly limits: SessionLimits;
  readonly clock: Clock;
}

export interface GrpcSessions {
  accept(socket: Socket): void;
  readonly sessions: number;
  readonly calls: number;
  /** GOAWAY to all, lets calls under way finish for at most `timeoutMs`, then ends every connection. */
  drain(timeoutMs: number): Promise<void>;
}

interface OpenCall {
  readonly startedMs: number;
  readonly call: StreamCall;
}

interface SessionState {
  readonly session: ServerHttp2Session;
  readonly socket: Socket;
  readonly acceptedMs: number;
  readonly calls: Set<OpenCall>;
  lastCallMs: number;
  completedCalls: number;
  greeted: boolean;
}

/** How long the sweeper rests while all sessions are quiet. */
const QUIET_SWEEP_MS = 60_000;

/** Serves connections until drained. */
export function grpcSessions(options: GrpcSessionsOptions): GrpcSessions {
  const { limits, clock } = options;
  const open = new Map<ServerHttp2Session, SessionState>();
  const stream = {
    handlers: new Map(options.handlers.map((handler) => [handler.requestPath, handler])),
    maxBodyBytes: options.maxMessageBytes + ENVELOPE_BYTES,
    trailers: new SharedTrailers(),
  };
  let draining = false;
  let whenEmpty: (() => void) | undefined;
  /** Ends the long rest of the sweeper, while it takes one. */
  let wake: (() => void) | undefined;
  const stopSweeping = new AbortController();

  function accept(socket: Socket): void {
    // Errors of the socket reach the session and end it; this listener keeps them from ending the process.
    socket.on("error", () => {});
    if (draining || (open.size >= limits.maxSessions && !evictOne())) {
      socket.destroy();
      return;
    }
    const session = performServerHandshake(socket, {
      maxHeaderListPairs: limits.maxHeaderPairs,
      settings: {
        maxConcurrentStreams: limits.maxStreamsPerSession,
        maxHeaderListSize: limits.maxHeaderListBytes,
        enablePush: false,
      },
    });
    const nowMs = clock.monotonicMs();
    const state: SessionState = {
      session,
      socket,
      acceptedMs: nowMs,
      calls: new Set(),
      lastCallMs: nowMs,
      completedCalls: 0,
      greeted: false,
    };
    open.set(session, state);
    wake?.();
    session.on("error", () => {});
    session.once("remoteSettings", () => {
      state.greeted = true;
    });
    session.once("close", () => {
      open.delete(session);
      if (open.size === 0) {
        whenEmpty?.();
      }
    });
    session.on("stream", (each, headers) => {
      const startedMs = clock.monotonicMs();
      state.lastCallMs = startedMs;
      const entry: OpenCall = {
        startedMs,
        call: serveStream(each, headers, stream, () => callEnded(state, entry)),
      };
      state.calls.add(entry);
      wake?.();
    });
  }

  function callEnded(state: SessionState, entry: OpenCall): void {
    state.calls.delete(entry);
    if (entry.call.bodyComplete) {
      state.completedCalls += 1;
    }
    if (draining && state.calls.size === 0) {
      end(state);
    }
  }

  /** Makes room: a session without a call under way, rather one that never had a call, rather the one idle longest. */
  function evictOne(): boolean {
    let victim: SessionState | undefined;
    for (const state of open.values()) {
      if (state.calls.size === 0 && (victim === undefined || lessWorth(state, victim))) {
        victim = state;
      }
    }
    if (victim === undefined) {
      return false;
    }
    drop(victim);
    return true;
  }

  function sweep(): void {
    const nowMs = clock.monotonicMs();
    for (const state of open.values()) {
      const ageMs = nowMs - state.acceptedMs;
      const silent = !state.greeted && ageMs >= limits.handshakeTimeoutMs;
      const idle = state.lastCallMs === state.acceptedMs && ageMs >= limits.firstCallTimeoutMs;
      if (silent || idle) {
        drop(state);
      } else if (state.calls.size === 0) {
        if (nowMs - state.lastCallMs >= limits.idleTimeoutMs) {
          state.session.close();
        }
      } else {
        giveUpUnfinished(state, nowMs);
      }
    }
  }

  function giveUpUnfinished(state: SessionState, nowMs: number): void {
    for (const { call, startedMs } of state.calls) {
      if (!call.bodyComplete && nowMs - startedMs >= limits.requestTimeoutMs) {
        call.giveUp();
      }
    }
  }

  /** At once, for a peer that is not worth waiting for. */
  function drop(state: SessionState): void {
    open.delete(state.session);
    state.session.destroy();
    state.socket.destroy();
  }

  function end(state: SessionState): void {
    state.session.close();
    state.socket.end();
  }

  /** Whether something is open that may soon be overdue; a quiet kube-apiserver is not worth a timer a second. */
  function isBusy(): boolean {
    for (const { greeted, completedCalls, calls } of open.values()) {
      if (!greeted || completedCalls === 0 || calls.size > 0) {
        return true;
      }
    }
    return false;
  }

  const sweeping = (async () => {
    while (!stopSweeping.signal.aborted) {
      const nap = new AbortController();
      const busy = isBusy();
      wake = busy ? undefined : () => nap.abort();
      const intervalMs = busy ? limits.sweepIntervalMs : QUIET_SWEEP_MS;
      await clock
        .sleep(intervalMs, AbortSignal.any([stopSweeping.signal, nap.signal]))
        .catch(() => stopSweeping.signal.throwIfAborted());
      sweep();
    }
  })().catch(() => {
    // The sleep was ended by drain(); sweep() itself does not throw.
  });

  return {
    accept,
    get sessions() {
      return open.size;
    },
    get calls() {
      let calls = 0;
      for (const state of open.values()) {
        calls += state.calls.size;
      }
      return calls;
    },
    drain: async (timeoutMs) => {
      draining = true;
      stopSweeping.abort();
      await sweeping;
      const empty = new Promise<void>((resolve) => {
        whenEmpty = resolve;
      });
      for (const state of open.values()) {
        state.session.close();
        if (state.calls.size === 0) {
          end(state);
        }
      }
      if (open.size > 0) {
        const expired = new AbortController();
        await Promise.race([empty, clock.sleep(timeoutMs, expired.signal).catch(() => {})]);
        expired.abort();
      }
      for (const state of open.values()) {
        drop(state);
      }
    },
  };
}

function lessWorth(one: SessionState, other: SessionState): boolean {
  return (one.completedCalls === 0) !== (other.completedCalls === 0)
    ? one.completedCalls === 0
    : one.lastCallMs < other.lastCallMs;
}
