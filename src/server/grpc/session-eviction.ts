/** @module What a session has earned: whether it stays, and which one is evicted when there are too many. Pure. */

export interface StandingLimits {
  /** From accept to the client's SETTINGS. */
  readonly handshakeTimeoutMs: number;
  /** From accept to the first request: a gRPC client connects because it has one. */
  readonly firstCallTimeoutMs: number;
  /** A session without a call for so long is closed in order; a gRPC client connects again by itself. */
  readonly idleTimeoutMs: number;
  /** From a request's headers to the end of its body, and from an answer until it is read. */
  readonly requestTimeoutMs: number;
  /** How long a new session is left alone: until the client's SETTINGS, and from then on until its first call is answered. */
  readonly greetingGraceMs: number;
  readonly firstCallGraceMs: number;
  /** A session with a call that waits longer for its peer counts as stalled. */
  readonly stallMs: number;
  /** A session of which so many requests in a row were refused without a handler is dropped. */
  readonly maxRefusedInARow: number;
  /** So many of the oldest sessions that completed calls are not evicted, unless they stall. */
  readonly seniorSessions: number;
}

/** A call that waits for its peer: for the rest of the request, or for the answer to be read. */
export interface PendingCall {
  giveUp(): void;
}

export type SessionStanding = ReturnType<typeof newStanding>;

export function newStanding(nowMs: number) {
  return {
    acceptedMs: nowMs,
    /** The client's SETTINGS have arrived. */
    greeted: false,
    hasCalled: false,
    lastCallMs: nowMs,
    /** Calls that were answered by a handler. */
    completedCalls: 0,
    /** Calls that wait for the peer, and since when; the one that has waited longest is first. */
    pending: new Map<PendingCall, number>(),
    /** Calls that a handler has. */
    handling: 0,
    /** Requests refused without a handler, since the last call that was answered by one. */
    refused: 0,
  };
}

export function callOpened(standing: SessionStanding, call: PendingCall, nowMs: number): void {
  standing.hasCalled = true;
  standing.lastCallMs = nowMs;
  standing.pending.set(call, nowMs);
}

export function callHandled(standing: SessionStanding, call: PendingCall): void {
  if (standing.pending.delete(call)) {
    standing.handling += 1;
  }
}

export function callAnswered(standing: SessionStanding, call: PendingCall, nowMs: number): void {
  standing.handling -= 1;
  standing.completedCalls += 1;
  standing.refused = 0;
  standing.pending.set(call, nowMs);
}

export function callEnded(standing: SessionStanding, call: PendingCall): void {
  if (!standing.pending.delete(call)) {
    standing.handling -= 1;
  }
}

/** A request was refused without a handler; `true` when there were so many in a row that the session is worth nothing. */
export function callRefused(standing: SessionStanding, { maxRefusedInARow }: StandingLimits): boolean {
  standing.refused += 1;
  return standing.refused >= maxRefusedInARow;
}

export function callsInProgress({ pending, handling }: SessionStanding): number {
  return pending.size + handling;
}

/** Whether the session may soon be overdue, so that it has to be looked at often. */
export function isUnsettled(standing: SessionStanding): boolean {
  return !standing.greeted || standing.completedCalls === 0 || callsInProgress(standing) > 0;
}

/** What time alone makes of a session: `drop` at once, `close` in order. */
export function dueAction(
  standing: SessionStanding,
  nowMs: number,
  limits: StandingLimits,
): "keep" | "drop" | "close" {
  const ageMs = nowMs - standing.acceptedMs;
  if (!standing.greeted && ageMs >= limits.handshakeTimeoutMs) {
    return "drop";
  }
  if (!standing.hasCalled && ageMs >= limits.firstCallTimeoutMs) {
    return "drop";
  }
  return callsInProgress(standing) === 0 && nowMs - standing.lastCallMs >= limits.idleTimeoutMs
    ? "close"
    : "keep";
}

/** Calls whose peer has taken longer than it may. */
export function overdue(
  { pending }: SessionStanding,
  nowMs: number,
  { requestTimeoutMs }: StandingLimits,
): readonly PendingCall[] {
  return [...pending].filter(([, sinceMs]) => nowMs - sinceMs >= requestTimeoutMs).map(([call]) => call);
}

/** In which order sessions are evicted. */
const RANK = { unproven: 0, stalled: 1, new: 2, idle: 3, pending: 4, firstCall: 5, serving: 6 } as const;

/** Ranks of sessions that did nothing wrong: none of their calls is lost. */
const IN_ORDER: ReadonlySet<number> = new Set([RANK.idle, RANK.firstCall, RANK.serving]);

function rankOf(standing: SessionStanding, nowMs: number, limits: StandingLimits): number {
  const { completedCalls, pending, handling } = standing;
  if (completedCalls === 0) {
    if (handling > 0) {
      return RANK.firstCall;
    }
    const graceMs = standing.greeted ? limits.firstCallGraceMs : limits.greetingGraceMs;
    return nowMs - standing.acceptedMs < graceMs ? RANK.new : RANK.unproven;
  }
  if (handling > 0) {
    return RANK.serving;
  }
  const [oldestMs] = pending.values();
  if (oldestMs === undefined) {
    return RANK.idle;
  }
  return nowMs - oldestMs >= limits.stallMs ? RANK.stalled : RANK.pending;
}

/** Within a rank: fewest completed calls, then the oldest without any, else the idlest; of those that are served, the oldest. */
function isEvictedBefore(one: SessionStanding, other: SessionStanding, rank: number): boolean {
  if (rank === RANK.serving) {
    return one.acceptedMs < other.acceptedMs;
  }
  if (one.completedCalls !== other.completedCalls) {
    return one.completedCalls < other.completedCalls;
  }
  return one.completedCalls === 0 ? one.acceptedMs < other.acceptedMs : one.lastCallMs < other.lastCallMs;
}

/**
 * The session that is evicted for a new one, or `undefined` while the new one has to wait, in the order of {@link RANK}. While a
 * session is so new that it may turn out to be unproven, none that completed calls is evicted.
 * @param sessions in the order in which they were accepted.
 * @returns how: `close` in order, so that its calls are answered and its peer connects again; or `drop` at once.
 */
export function sessionToEvict<Session extends { readonly standing: SessionStanding }>(
  sessions: Iterable<Session>,
  nowMs: number,
  limits: StandingLimits,
): { readonly session: Session; readonly how: "drop" | "close" } | undefined {
  let found: Session | undefined;
  let lowest = Number.POSITIVE_INFINITY;
  let proven = 0;
  for (const session of sessions) {
    const rank = rankOf(session.standing, nowMs, limits);
    proven += session.standing.completedCalls > 0 ? 1 : 0;
    const isSenior = session.standing.completedCalls > 0 && proven <= limits.seniorSessions;
    if (isSenior && rank !== RANK.stalled) {
      continue;
    }
    if (
      rank < lowest ||
      (rank === lowest && found !== undefined && isEvictedBefore(session.standing, found.standing, rank))
    ) {
      found = session;
      lowest = rank;
    }
  }
  if (found === undefined || lowest === RANK.new) {
    return undefined;
  }
  return { session: found, how: IN_ORDER.has(lowest) ? "close" : "drop" };
}
