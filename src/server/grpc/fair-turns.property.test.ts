import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FairTurns } from "./fair-turns.ts";

function stage(callsPerTurn: number) {
  const begun: string[] = [];
  const later: (() => void)[] = [];
  const turns = new FairTurns(callsPerTurn, (run) => later.push(run));
  const sessions = { a: {}, b: {}, c: {} };
  const begin = (session: keyof typeof sessions, name: string): void =>
    turns.begin(sessions[session], () => begun.push(name));
  /** One turn of the event loop; whether there was anything to do. */
  const turn = (): boolean => {
    const runs = later.splice(0);
    for (const run of runs) {
      run();
    }
    return runs.length > 0;
  };
  return { begun, later, turns, sessions, begin, turn };
}

describe("calls begin in fair turns", () => {
  test("a lone call begins at once, and one look in the next turn is all that follows", () => {
    const { begun, later, begin, turn } = stage(2);
    begin("a", "a1");
    expect(begun).toEqual(["a1"]);
    expect(later).toHaveLength(1);
    turn();
    expect(later).toHaveLength(0);
    begin("a", "a2");
    expect(begun).toEqual(["a1", "a2"]);
  });

  test("one session with many calls lets another's begin after one of its own", () => {
    const { begun, begin, turn } = stage(2);
    for (const name of ["a1", "a2", "a3", "a4", "a5"]) {
      begin("a", name);
    }
    begin("b", "b1");
    expect(begun).toEqual(["a1", "a2"]);
    turn();
    expect(begun).toEqual(["a1", "a2", "a3", "b1"]);
    turn();
    expect(begun).toEqual(["a1", "a2", "a3", "b1", "a4", "a5"]);
  });

  test("a call does not overtake those that wait, though there is room in this turn", () => {
    const { begun, later, begin, turn } = stage(1);
    begin("a", "a1");
    begin("a", "a2");
    begin("b", "b1");
    turn();
    expect(begun).toEqual(["a1", "a2"]);
    later[0]?.();
    begin("c", "c1");
    expect(begun).toEqual(["a1", "a2", "b1"]);
  });

  test("calls of a session that is over never begin", () => {
    const { begun, turns, sessions, begin, turn } = stage(1);
    begin("a", "a1");
    begin("a", "a2");
    begin("b", "b1");
    turns.forget(sessions.a);
    while (turn()) {
      // Until nothing waits.
    }
    expect(begun).toEqual(["a1", "b1"]);
  });

  test("every call begins once, in its session's order, and no session waits for two of another's", () => {
    const step = fc.oneof(
      fc.constant("turn" as const),
      fc.constantFrom("a" as const, "b" as const, "c" as const),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 60 }), (perTurn, steps) => {
        const { begun, begin, turn } = stage(perTurn);
        const asked: string[] = [];
        const look = (): boolean => {
          const before = begun.length;
          const waiting = (session: string): boolean =>
            asked.some((name) => name.startsWith(session) && !begun.includes(name));
          const others = ["a", "b", "c"].filter(waiting);
          const went = turn();
          const now = begun.slice(before).map((name) => name[0]);
          expect(now.length).toBeLessThanOrEqual(perTurn);
          // The first ones of a turn are of different sessions, as long as there are such.
          expect(new Set(now.slice(0, others.length)).size).toBe(Math.min(others.length, now.length));
          return went;
        };
        steps.forEach((each, index) => {
          if (each === "turn") {
            look();
          } else {
            asked.push(`${each}${index}`);
            begin(each, `${each}${index}`);
          }
        });
        while (look()) {
          // Until nothing waits.
        }
        expect(begun.toSorted()).toEqual(asked.toSorted());
        for (const session of ["a", "b", "c"]) {
          const of = (names: readonly string[]) => names.filter((name) => name.startsWith(session));
          expect(of(begun)).toEqual(of(asked));
        }
      }),
    );
  });
});
