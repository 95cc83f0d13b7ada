/** @module HTTP/2 sessions over accepted connections: how many, for how long, and their orderly end. See also docs/http2.md. */
import { performServerHandshake, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { Clock } from "../../base/clock.ts";
import { BodyBudget } from "./body-budget.ts";
import { FairTurns } from "./fair-turns.ts";
import { type StreamCall, type StreamOptions, serveStream } from "./grpc-stream.ts";
import {
  callAnswered,
  callEnded,
  callHandled,
  callOpened,
  callRefused,
  callsUnderWay,
  givesWay,
  isUnsettled,
  newStanding,
  overdue,
  type SessionStanding,
  type StandingLimits,
  verdict,
} from "./session-standing.ts";
import { ENVELOPE_BYTES } from "./unary-grpc.ts";
import { WaitingConnections } from "./waiting-connections.ts";

export interface SessionLimits extends StandingLimits {
  readonly maxSessions: number;
  /** Connections that wait for a session to give way. */
  readonly maxWaitingConnections: number;
  readonly maxStreamsPerSession: number;
  /** So many sessions may have more streams: those that are first to complete a call. */
  readonly wideSessions: number;
  readonly maxStreamsPerWideSession: number;
  /** Calls that begin, and connections that are taken, before all sockets are read again. */
  readonly callsPerTurn: number;
  readonly connectionsPerTurn: number;
  /** Metadata of one request in bytes, as HTTP/2 counts it (RFC 9113, 6.5.2). */
  readonly maxHeaderListBytes: number;
  readonly maxHeaderPairs: number;
  /** All request bodies together. */
  readonly maxBodiesBytes: number;
  readonly sweepIntervalMs: number;
}

interface GrpcSessionsOptions {
  readonly handlers: readonly UniversalHandler[];
  readonly maxMessageBytes: number;
  readonly limits: SessionLimits;
  readonly clock: Clock;
}

export interface GrpcSessions {
  /** Takes a paused connection. */
  accept(socket: Socket): void;
  readonly sessions: number;
  readonly calls: number;
  /** GOAWAY to all, lets calls in progress finish for at most `timeoutMs`, then ends every connection. */
  drain(timeoutMs: number): Promise<void>;
}

interface Session {
  readonly http2: ServerHttp2Session;
  readonly socket: Socket;
  readonly standing: SessionStanding;
}

/** How long the sweeper rests while all sessions are quiet. */
const QUIET_SWEEP_MS = 60_000;

/** Serves connections until drained. */
export function grpcSessions(options: GrpcSessionsOptions): GrpcSessions {
  const { limits, clock } = options;
  const open = new Set<Session>();
  /** Closed in order, with the last calls to be answered and the last bytes to be sent, and since when. */
  const leaving = new Map<Session, number>();
  const wide = new Set<Session>();
  const streamOptions: StreamOptions = {
    handlers: new Map(options.handlers.map((handler) => [handler.requestPath, handler])),
    maxBodyBytes: options.maxMessageBytes + ENVELOPE_BYTES,
    budget: new BodyBudget(limits.maxBodiesBytes),
    turns: new FairTurns(limits.callsPerTurn, setImmediate),
  };
  const stop = new AbortController();
  let draining = false;
  const empty = Promise.withResolvers<void>();
  let nap = { endMs: 0, wake: new AbortController() };

  const waiting = new WaitingConnections({
    maxWaiting: limits.maxWaitingConnections,
    perTurn: limits.connectionsPerTurn,
    makePlace: () => {
      const hasPlace = open.size < limits.maxSessions || makeRoom();
      if (!hasPlace) {
        lookWithin(limits.greetingGraceMs);
      }
      return hasPlace;
    },
    serve,
  });

  function makeRoom(): boolean {
    const found = givesWay(open, clock.monotonicMs(), limits);
    switch (found?.how) {
      case "drop":
        drop(found.session);
        return true;
      case "close":
        // Those that leave still have their calls: together they may be as many as there are places.
        if (leaving.size >= limits.maxSessions) {
          return false;
        }
        leave(found.session);
        return true;
      default:
        return false;
    }
  }

  function serve(socket: Socket): void {
    const http2 = performServerHandshake(socket, {
      maxHeaderListPairs: limits.maxHeaderPairs,
      settings: {
        maxConcurrentStreams: limits.maxStreamsPerSession,
        maxHeaderListSize: limits.maxHeaderListBytes,
        enablePush: false,
      },
    });
    const standing = newStanding(clock.monotonicMs());
    const session: Session = { http2, socket, standing };
    open.add(session);
    http2.on("error", () => {});
    http2.once("remoteSettings", () => {
      standing.greeted = true;
    });
    http2.once("close", () => gone(session));
    http2.on("stream", (stream, headers) => {
      const call: StreamCall = serveStream(stream, headers, session, streamOptions, {
        handled: () => callHandled(standing, call),
        answered: () => {
          callAnswered(standing, call, clock.monotonicMs());
          widen(session);
        },
        refused: () => {
          if (callRefused(standing, limits)) {
            drop(session);
          }
        },
        unread: () => drop(session),
        ended: () => {
          callEnded(standing, call);
          if (leaving.has(session) && callsUnderWay(standing) === 0) {
            socket.destroySoon();
          }
        },
      });
      callOpened(standing, call, clock.monotonicMs());
      lookWithin(limits.sweepIntervalMs);
    });
    lookWithin(limits.sweepIntervalMs);
    socket.resume();
  }

  function widen(session: Session): void {
    if (wide.size < limits.wideSessions && open.has(session) && !wide.has(session)) {
      wide.add(session);
      session.http2.settings({ maxConcurrentStreams: limits.maxStreamsPerWideSession });
    }
  }

  function gone(session: Session): void {
    open.delete(session);
    leaving.delete(session);
    wide.delete(session);
    streamOptions.turns.forget(session);
    waiting.serve();
    if (draining && leaving.size === 0) {
      empty.resolve();
    }
  }

  /** At once, for a peer that is not worth waiting for. The end of each stream and of the session follows. */
  function drop(session: Session): void {
    open.delete(session);
    wide.delete(session);
    session.http2.destroy();
    session.socket.destroy();
  }

  /** GOAWAY names the calls that the peer must send again on its next connection. */
  function leave(session: Session): void {
    open.delete(session);
    wide.delete(session);
    leaving.set(session, clock.monotonicMs());
    session.http2.close();
    if (callsUnderWay(session.standing) === 0) {
      session.socket.destroySoon();
    }
  }

  function sweep(): void {
    const nowMs = clock.monotonicMs();
    for (const [session, leftMs] of leaving) {
      // Without calls it had the time of a nap for its last bytes.
      const isOver = callsUnderWay(session.standing) === 0;
      if (isOver || nowMs - leftMs >= limits.requestTimeoutMs) {
        drop(session);
      }
    }
    for (const session of open) {
      switch (verdict(session.standing, nowMs, limits)) {
        case "drop":
          drop(session);
          break;
        case "close":
          leave(session);
          break;
        case "keep":
          for (const call of overdue(session.standing, nowMs, limits)) {
            call.giveUp();
          }
      }
    }
    waiting.serve();
  }

  /** A quiet kube-apiserver is not worth a timer a second. */
  function napMs(): number {
    const isBusy = leaving.size > 0 || [...open].some(({ standing }) => isUnsettled(standing));
    const ms = isBusy ? limits.sweepIntervalMs : QUIET_SWEEP_MS;
    return waiting.isEmpty ? ms : Math.min(limits.greetingGraceMs, ms);
  }

  /** Ends a nap that would be longer. */
  function lookWithin(ms: number): void {
    if (nap.endMs > clock.monotonicMs() + ms) {
      nap.wake.abort();
    }
  }

  const sweeping = (async () => {
    while (!stop.signal.aborted) {
      const ms = napMs();
      nap = { endMs: clock.monotonicMs() + ms, wake: new AbortController() };
      await clock
        .sleep(ms, AbortSignal.any([stop.signal, nap.wake.signal]))
        .then(sweep, () => stop.signal.throwIfAborted());
    }
  })().catch(() => {
    // The sleep was ended by drain(); sweep() itself does not throw.
  });

  return {
    accept: (socket) => waiting.add(socket),
    get sessions() {
      return open.size;
    },
    get calls() {
      let calls = 0;
      for (const { standing } of open) {
        calls += callsUnderWay(standing);
      }
      return calls;
    },
    drain: async (timeoutMs) => {
      draining = true;
      waiting.close();
      stop.abort();
      await sweeping;
      open.forEach(leave);
      if (leaving.size > 0) {
        const expired = new AbortController();
        await Promise.race([empty.promise, clock.sleep(timeoutMs, expired.signal).catch(() => {})]);
        expired.abort();
      }
      for (const session of leaving.keys()) {
        drop(session);
      }
    },
  };
}
