import { describe, expect, test } from "bun:test";
import fc from "fast-check";
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
  type PendingCall,
  type SessionStanding,
  sessionToEvict,
} from "./session-eviction.ts";

const limits = {
  handshakeTimeoutMs: 5000,
  firstCallTimeoutMs: 30_000,
  requestTimeoutMs: 10_000,
  idleTimeoutMs: 600_000,
  greetingGraceMs: 50,
  firstCallGraceMs: 250,
  stallMs: 1000,
  maxRefusedInARow: 3,
  seniorSessions: 0,
};

interface Session {
  readonly name: string;
  readonly standing: SessionStanding;
}

const call = (): PendingCall => ({ giveUp: () => {} });

/** A call from its start to its end at one moment. */
function complete(standing: SessionStanding, nowMs: number): void {
  const own = call();
  callOpened(standing, own, nowMs);
  callHandled(standing, own);
  callAnswered(standing, own, nowMs);
  callEnded(standing, own);
}

/** Sessions of each kind, accepted at 0 and judged at 10,000. */
const KINDS = {
  "never completed a call": () => newStanding(0),
  "never completed one, and opens one": () => {
    const standing = newStanding(0);
    callOpened(standing, call(), 9900);
    return standing;
  },
  stalls: () => {
    const standing = newStanding(0);
    complete(standing, 0);
    callOpened(standing, call(), 9000);
    return standing;
  },
  idle: () => {
    const standing = newStanding(0);
    complete(standing, 0);
    return standing;
  },
  "has half a request": () => {
    const standing = newStanding(0);
    complete(standing, 0);
    callOpened(standing, call(), 9001);
    return standing;
  },
  "its first call is handled": () => {
    const standing = newStanding(0);
    const own = call();
    callOpened(standing, own, 0);
    callHandled(standing, own);
    return standing;
  },
  "has a call that is handled": () => {
    const standing = newStanding(0);
    complete(standing, 0);
    const own = call();
    callOpened(standing, own, 0);
    callHandled(standing, own);
    callOpened(standing, call(), 0);
    return standing;
  },
} as const;

const NOW = 10_000;
const named = (kinds: Readonly<Record<string, () => SessionStanding>>): Session[] =>
  Object.entries(kinds).map(([name, make]) => ({ name, standing: make() }));
const victimOf = (sessions: readonly Session[]): string | undefined =>
  sessionToEvict(sessions, NOW, limits)?.session.name;

describe("who is evicted", () => {
  test("each kind before those that earned more, whatever their order", () => {
    const order = [
      "never completed a call",
      "stalls",
      "is new",
      "idle",
      "has half a request",
      "its first call is handled",
      "has a call that is handled",
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray(named({ ...KINDS, "is new": () => newStanding(9951) })), (sessions) => {
        const there = new Set(
          sessions.map(({ name }) =>
            name === "never completed one, and opens one" ? "never completed a call" : name,
          ),
        );
        const victim = victimOf(sessions);
        const kind = victim === "never completed one, and opens one" ? "never completed a call" : victim;
        const first = order.find((name) => there.has(name));
        // A new session may still earn a place, and until then no other session loses one.
        expect(kind).toBe(first === "is new" ? undefined : first);
      }),
    );
  });

  test("in order, with its calls answered, where it did nothing wrong; else at once", () => {
    const how = Object.fromEntries(
      named(KINDS).map((session) => [session.name, sessionToEvict([session], NOW, limits)?.how]),
    );
    expect(how).toEqual({
      "never completed a call": "drop",
      "never completed one, and opens one": "drop",
      stalls: "drop",
      idle: "close",
      "has half a request": "drop",
      "its first call is handled": "close",
      "has a call that is handled": "close",
    });
  });

  test("of those that are served the oldest, however many calls it completed", () => {
    const serving = (acceptedMs: number, calls: number): SessionStanding => {
      const standing = newStanding(acceptedMs);
      for (let index = 0; index < calls; index += 1) {
        complete(standing, acceptedMs);
      }
      const own = call();
      callOpened(standing, own, NOW);
      callHandled(standing, own);
      return standing;
    };
    const sessions = [
      { name: "second", standing: serving(2, 1) },
      { name: "first", standing: serving(1, 9) },
      { name: "third", standing: serving(3, 5) },
    ];
    expect(victimOf(sessions)).toBe("first");
    expect(victimOf(sessions.toReversed())).toBe("first");
  });

  test("no session that is new", () => {
    expect(victimOf([])).toBeUndefined();
    const greeted = (acceptedMs: number): SessionStanding => ({ ...newStanding(acceptedMs), greeted: true });
    for (const [standing, isNew] of [
      [newStanding(9951), true],
      [newStanding(9950), false],
      [greeted(9751), true],
      [greeted(9750), false],
    ] as const) {
      expect(victimOf([{ name: "one", standing }])).toBe(isNew ? undefined : "one");
    }
  });

  test("of those without a completed call the oldest, even if it opens calls without end", () => {
    const busy = newStanding(1);
    callOpened(busy, call(), 9999);
    expect(
      victimOf([
        { name: "later", standing: newStanding(2) },
        { name: "busy", standing: busy },
        { name: "latest", standing: newStanding(3) },
      ]),
    ).toBe("busy");
  });

  test("of those that came and called at the same time the first in their order", () => {
    const pair = (make: () => SessionStanding) =>
      ["first", "second"].map((name) => ({ name, standing: make() }));
    const fresh = pair(() => newStanding(0));
    expect(victimOf(fresh)).toBe("first");
    const idle = pair(() => {
      const standing = newStanding(0);
      complete(standing, 0);
      return standing;
    });
    expect(victimOf(idle)).toBe("first");
    const served = pair(() => {
      const standing = newStanding(0);
      complete(standing, 0);
      const own = call();
      callOpened(standing, own, 0);
      callHandled(standing, own);
      return standing;
    });
    expect(victimOf(served)).toBe("first");
  });

  test("of the idle the one with the fewest calls, then the one that called least recently", () => {
    const idle = (calls: number, lastMs: number): SessionStanding => {
      const standing = newStanding(0);
      for (let index = 0; index < calls; index += 1) {
        complete(standing, lastMs);
      }
      return standing;
    };
    const sessions = [
      { name: "many", standing: idle(9, 1) },
      { name: "recent", standing: idle(2, 300) },
      { name: "earlier", standing: idle(2, 200) },
      { name: "later", standing: idle(2, 400) },
    ];
    expect(victimOf(sessions)).toBe("earlier");
    expect(victimOf(sessions.toReversed())).toBe("earlier");
  });

  test("none of the oldest that completed calls, unless it stalls", () => {
    const proven = (index: number): Session => {
      const standing = newStanding(index);
      // The later, the more calls, so that the oldest would be first to go.
      for (let calls = 0; calls <= index; calls += 1) {
        complete(standing, index);
      }
      return { name: `${index}`, standing };
    };
    const sessions = [0, 1, 2, 3].map(proven);
    const withSeniors = (seniorSessions: number): string | undefined =>
      sessionToEvict(sessions, NOW, { ...limits, seniorSessions })?.session.name;
    expect([0, 1, 2, 3, 4].map(withSeniors)).toEqual(["0", "1", "2", "3", undefined]);
    const [oldest] = sessions;
    if (oldest !== undefined) {
      callOpened(oldest.standing, call(), 9000);
    }
    expect(withSeniors(4)).toBe("0");
    const unproven = { name: "unproven", standing: newStanding(0) };
    expect(sessionToEvict([unproven, ...sessions], NOW, { ...limits, seniorSessions: 4 })?.session.name).toBe(
      "unproven",
    );
  });

  test("a kube-apiserver that polls outlives any number of peers that only hold calls open", () => {
    const server = newStanding(0);
    complete(server, 0);
    const peers = Array.from({ length: 63 }, (_, index): Session => {
      const standing = newStanding(index);
      if (index % 2 === 0) {
        complete(standing, index);
      }
      callOpened(standing, call(), index);
      return { name: `peer ${index}`, standing };
    });
    for (let nowMs = 60_000; nowMs < 660_000; nowMs += 60_000) {
      const victim = sessionToEvict([{ name: "server", standing: server }, ...peers], nowMs, limits);
      expect(victim?.session.name).not.toBe("server");
      complete(server, nowMs);
    }
  });
});

describe("time", () => {
  const greeted = (): SessionStanding => ({ ...newStanding(0), greeted: true });

  test.each([
    ["silent", newStanding(0), 4999, "keep"],
    ["silent too long", newStanding(0), 5000, "drop"],
    ["greeted, without a call", greeted(), 29_999, "keep"],
    ["greeted, without a call for too long", greeted(), 30_000, "drop"],
  ] as const)("%s", (_name, standing, nowMs, expected) => {
    expect(dueAction(standing, nowMs, limits)).toBe(expected);
  });

  test("a session that called is closed in order once it was idle, and never while a call is in progress", () => {
    const standing = greeted();
    complete(standing, 1000);
    expect(dueAction(standing, 600_999, limits)).toBe("keep");
    expect(dueAction(standing, 601_000, limits)).toBe("close");
    const own = call();
    callOpened(standing, own, 1000);
    expect(dueAction(standing, 700_000, limits)).toBe("keep");
    callHandled(standing, own);
    expect(dueAction(standing, 700_000, limits)).toBe("keep");
  });

  test("a call is overdue when its request or the reading of its answer takes too long, not while it is handled", () => {
    const standing = greeted();
    const own = call();
    callOpened(standing, own, 0);
    expect(overdue(standing, 9999, limits)).toEqual([]);
    expect(overdue(standing, 10_000, limits)).toEqual([own]);
    callHandled(standing, own);
    expect(overdue(standing, 10_000, limits)).toEqual([]);
    callAnswered(standing, own, 10_000);
    expect(overdue(standing, 19_999, limits)).toEqual([]);
    expect(overdue(standing, 20_000, limits)).toEqual([own]);
  });

  test("it is looked at often until it has greeted, completed a call and has none in progress", () => {
    expect(isUnsettled(newStanding(0))).toBe(true);
    const standing = greeted();
    expect(isUnsettled(standing)).toBe(true);
    complete(standing, 0);
    expect(isUnsettled(standing)).toBe(false);
    expect(isUnsettled({ ...standing, greeted: false })).toBe(true);
    callOpened(standing, call(), 0);
    expect(isUnsettled(standing)).toBe(true);
  });
});

test("refusals in a row cost the session, a call that is answered makes up for them", () => {
  const standing = newStanding(0);
  const refuse = (): boolean => callRefused(standing, limits);
  expect([refuse(), refuse()]).toEqual([false, false]);
  complete(standing, 0);
  expect([refuse(), refuse(), refuse()]).toEqual([false, false, true]);
});

test("calls are counted, whatever becomes of them", () => {
  const fate = fc.constantFrom("open", "handled", "answered", "refused", "failed", "ended");
  fc.assert(
    fc.property(fc.array(fate, { maxLength: 30 }), (fates) => {
      const standing = newStanding(0);
      for (const each of fates) {
        const own = call();
        callOpened(standing, own, 0);
        if (each === "refused") {
          callEnded(standing, own);
        } else if (each !== "open") {
          callHandled(standing, own);
          if (each === "failed") {
            callEnded(standing, own);
          } else if (each !== "handled") {
            callAnswered(standing, own, 0);
            if (each === "ended") {
              callEnded(standing, own);
            }
          }
        }
      }
      const count = (...names: readonly string[]): number =>
        fates.filter((each) => names.includes(each)).length;
      expect(callsInProgress(standing)).toBe(count("open", "handled", "answered"));
      expect(standing.handling).toBe(count("handled"));
      expect(standing.completedCalls).toBe(count("answered", "ended"));
      expect(standing.hasCalled).toBe(fates.length > 0);
    }),
  );
});
