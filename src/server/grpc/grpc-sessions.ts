/** @module HTTP/2 sessions: served, widened and closed in order; session-eviction.ts decides which one. See also docs/http2.md. */
import { performServerHandshake, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { Clock } from "../../base/clock.ts";
import { Repeater } from "../../base/repeat.ts";
import { BodyBudget } from "./body-budget.ts";
import { FairTurns } from "./fair-turns.ts";
import { type CallOwner, StreamCall, type StreamOptions } from "./grpc-stream.ts";
import {
  callAnswered,
  callEnded,
  callHandled,
  callOpened,
  callRefused,
  callsInProgress,
  dueAction,
  isUnsettled,
  newStanding,
  overdue,
  type SessionStanding,
  type StandingLimits,
  sessionToEvict,
} from "./session-eviction.ts";
import { ENVELOPE_BYTES } from "./unary-grpc.ts";
import { WaitingConnections } from "./waiting-connections.ts";

export interface SessionLimits extends StandingLimits {
  readonly maxSessions: number;
  /** Connections that wait for a place. */
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

interface Session extends CallOwner {
  readonly http2: ServerHttp2Session;
  readonly socket: Socket;
  readonly standing: SessionStanding;
}

/** How long the sweeper rests while all sessions are quiet. */
const QUIET_SWEEP_MS = 60_000;

/** Serves connections until drained. */
export class GrpcSessions {
  readonly #limits: SessionLimits;
  readonly #clock: Clock;
  readonly #streams: StreamOptions;
  readonly #waiting: WaitingConnections;
  readonly #open = new Set<Session>();
  /** Closed in order, with the last calls to be answered and the last bytes to be sent, and since when. */
  readonly #closing = new Map<Session, number>();
  readonly #wide = new Set<Session>();
  readonly #sweeper: Repeater;
  readonly #empty = Promise.withResolvers<void>();
  #isDraining = false;

  constructor({ handlers, maxMessageBytes, limits, clock }: GrpcSessionsOptions) {
    this.#limits = limits;
    this.#clock = clock;
    this.#streams = {
      handlers: new Map(handlers.map((handler) => [handler.requestPath, handler])),
      maxBodyBytes: maxMessageBytes + ENVELOPE_BYTES,
      budget: new BodyBudget(limits.maxBodiesBytes),
      turns: new FairTurns(limits.callsPerTurn, setImmediate),
    };
    this.#waiting = new WaitingConnections({
      maxWaiting: limits.maxWaitingConnections,
      perTurn: limits.connectionsPerTurn,
      makePlace: () => {
        const hasPlace = this.#open.size < limits.maxSessions || this.#evict();
        if (!hasPlace) {
          this.#sweeper.pauseAtMost(limits.greetingGraceMs);
        }
        return hasPlace;
      },
      serve: (socket) => this.#serve(socket),
    });
    this.#sweeper = new Repeater(
      clock,
      () => this.#pauseMs(),
      () => this.#sweep(),
    );
  }

  /** Takes a paused connection. */
  accept(socket: Socket): void {
    this.#waiting.add(socket);
  }

  get sessions(): number {
    return this.#open.size;
  }

  get calls(): number {
    let calls = 0;
    for (const { standing } of this.#open) {
      calls += callsInProgress(standing);
    }
    return calls;
  }

  /** GOAWAY to all, lets calls in progress finish for at most `timeoutMs`, then ends every connection. */
  async drain(timeoutMs: number): Promise<void> {
    this.#isDraining = true;
    this.#waiting.close();
    await this.#sweeper.stop();
    for (const session of this.#open) {
      this.#leave(session);
    }
    if (this.#closing.size > 0) {
      const expired = new AbortController();
      const expiry = this.#clock.sleep(timeoutMs, expired.signal).catch(() => {});
      await Promise.race([this.#empty.promise, expiry]);
      expired.abort();
    }
    for (const session of this.#closing.keys()) {
      this.#drop(session);
    }
  }

  #evict(): boolean {
    const found = sessionToEvict(this.#open, this.#clock.monotonicMs(), this.#limits);
    switch (found?.how) {
      case "drop":
        this.#drop(found.session);
        return true;
      case "close":
        // Those that leave still have their calls: together they may be as many as there are places.
        if (this.#closing.size >= this.#limits.maxSessions) {
          return false;
        }
        this.#leave(found.session);
        return true;
      default:
        return false;
    }
  }

  #serve(socket: Socket): void {
    const clock = this.#clock;
    const limits = this.#limits;
    const http2 = performServerHandshake(socket, {
      maxHeaderListPairs: limits.maxHeaderPairs,
      settings: {
        maxConcurrentStreams: limits.maxStreamsPerSession,
        maxHeaderListSize: limits.maxHeaderListBytes,
        enablePush: false,
      },
    });
    const standing = newStanding(clock.monotonicMs());
    const session: Session = {
      http2,
      socket,
      standing,
      handled: (call) => callHandled(standing, call),
      answered: (call) => {
        callAnswered(standing, call, clock.monotonicMs());
        this.#widen(session);
      },
      refused: () => {
        if (callRefused(standing, limits)) {
          this.#drop(session);
        }
      },
      unread: () => this.#drop(session),
      ended: (call) => {
        callEnded(standing, call);
        if (this.#closing.has(session) && callsInProgress(standing) === 0) {
          socket.destroySoon();
        }
      },
    };
    this.#open.add(session);
    http2.on("error", () => {});
    http2.once("remoteSettings", () => {
      standing.greeted = true;
    });
    http2.once("close", () => this.#gone(session));
    http2.on("stream", (stream, headers) => {
      callOpened(standing, new StreamCall(stream, headers, session, this.#streams), clock.monotonicMs());
      this.#sweeper.pauseAtMost(limits.sweepIntervalMs);
    });
    this.#sweeper.pauseAtMost(limits.sweepIntervalMs);
    socket.resume();
  }

  #widen(session: Session): void {
    const { wideSessions, maxStreamsPerWideSession } = this.#limits;
    if (this.#wide.size < wideSessions && this.#open.has(session) && !this.#wide.has(session)) {
      this.#wide.add(session);
      session.http2.settings({ maxConcurrentStreams: maxStreamsPerWideSession });
    }
  }

  #gone(session: Session): void {
    this.#open.delete(session);
    this.#closing.delete(session);
    this.#wide.delete(session);
    this.#streams.turns.forget(session);
    this.#waiting.serve();
    if (this.#isDraining && this.#closing.size === 0) {
      this.#empty.resolve();
    }
  }

  /** At once, for a peer that is not worth waiting for. The end of each stream and of the session follows. */
  #drop(session: Session): void {
    this.#open.delete(session);
    this.#wide.delete(session);
    session.http2.destroy();
    session.socket.destroy();
  }

  /** GOAWAY names the calls that the peer must send again on its next connection. */
  #leave(session: Session): void {
    this.#open.delete(session);
    this.#wide.delete(session);
    this.#closing.set(session, this.#clock.monotonicMs());
    session.http2.close();
    if (callsInProgress(session.standing) === 0) {
      session.socket.destroySoon();
    }
  }

  #sweep(): void {
    const limits = this.#limits;
    const nowMs = this.#clock.monotonicMs();
    for (const [session, leftMs] of this.#closing) {
      // Without calls it had the time of a pause for its last bytes.
      const isOver = callsInProgress(session.standing) === 0;
      if (isOver || nowMs - leftMs >= limits.requestTimeoutMs) {
        this.#drop(session);
      }
    }
    for (const session of this.#open) {
      switch (dueAction(session.standing, nowMs, limits)) {
        case "drop":
          this.#drop(session);
          break;
        case "close":
          this.#leave(session);
          break;
        case "keep":
          for (const call of overdue(session.standing, nowMs, limits)) {
            call.giveUp();
          }
      }
    }
    this.#waiting.serve();
  }

  /** A quiet kube-apiserver is not worth a timer a second. */
  #pauseMs(): number {
    const { sweepIntervalMs, greetingGraceMs } = this.#limits;
    const isBusy = this.#closing.size > 0 || [...this.#open].some(({ standing }) => isUnsettled(standing));
    const ms = isBusy ? sweepIntervalMs : QUIET_SWEEP_MS;
    return this.#waiting.isEmpty ? ms : Math.min(greetingGraceMs, ms);
  }
}
