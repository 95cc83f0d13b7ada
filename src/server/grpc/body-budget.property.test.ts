import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { MAX_WAITING } from "../../kms/admission.ts";
import { BodyBudget, type BodyShare, LEAST_SHARE_BYTES as LEAST, MAX_BODIES_BYTES } from "./body-budget.ts";

test("the bounds", () => {
  expect([LEAST, MAX_BODIES_BYTES]).toEqual([4096, 8_388_608]);
});

test("a request that lost its share gets no more, and has what it has", () => {
  const budget = new BodyBudget(MAX_BODIES_BYTES);
  const share = budget.admit({}, () => {});
  if (share === undefined) {
    throw new Error("not admitted");
  }
  budget.release(share);
  expect([budget.grow(share, LEAST), budget.grow(share, LEAST + 1)]).toEqual([true, false]);
  expect(budget.usedBytes).toBe(0);
});

const isLoose = ({ bytes, isHandled }: BodyShare): boolean => !isHandled || bytes > LEAST;
const sum = (shares: readonly BodyShare[]): number => shares.reduce((total, { bytes }) => total + bytes, 0);
const looseOf = (shares: readonly BodyShare[], session: object): number =>
  sum(shares.filter((share) => share.session === session && isLoose(share)));

/** Requests that hold a share, oldest first; each loss is checked as it happens. */
class Requests {
  readonly budget: BodyBudget;
  held: BodyShare[] = [];
  lost: BodyShare[] = [];

  constructor(maxBytes: number) {
    this.budget = new BodyBudget(maxBytes);
  }

  admit(session: object): BodyShare | undefined {
    const own: { share: BodyShare | undefined } = { share: undefined };
    own.share = this.budget.admit(session, () => this.#lose(own.share));
    if (own.share !== undefined) {
      this.held.push(own.share);
    }
    return own.share;
  }

  admitted(session: object): BodyShare {
    const share = this.admit(session);
    if (share === undefined) {
      throw new Error("not admitted");
    }
    return share;
  }

  #lose(share: BodyShare | undefined): void {
    if (share === undefined) {
      throw new Error("a request lost its share before it had it");
    }
    expect(isLoose(share)).toBe(true);
    const firstLoose = this.held.find((each) => each.session === share.session && isLoose(each));
    expect(firstLoose).toBe(share);
    this.held = this.held.filter((each) => each !== share);
    this.lost.push(share);
  }
}

const SESSIONS = ["a", "b", "c"].map((name) => ({ name }));
const session = fc.constantFrom(...SESSIONS);
const step = fc.oneof(
  fc.record({ kind: fc.constant("admit" as const), session }),
  fc.record({ kind: fc.constant("grow" as const), which: fc.nat(), bytes: fc.nat({ max: 4 * LEAST }) }),
  fc.record({ kind: fc.constant("handle" as const), which: fc.nat(), isHandled: fc.boolean() }),
  fc.record({ kind: fc.constant("release" as const), which: fc.nat() }),
  fc.record({ kind: fc.constant("end" as const), session }),
);

test("the shares always fit, and room is made only at the cost of a session that holds more", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 100 }),
      fc.integer({ min: LEAST, max: 12 * LEAST }),
      (steps, max) => {
        const requests = new Requests(max);
        const { budget } = requests;
        for (const each of steps) {
          requests.lost = [];
          const before = requests.held.map((share) => ({ ...share }));
          const share =
            "which" in each ? requests.held[each.which % Math.max(requests.held.length, 1)] : undefined;
          let asking:
            | { readonly session: object; readonly bytes: number; readonly granted: boolean }
            | undefined;
          switch (each.kind) {
            case "admit": {
              const granted = requests.admit(each.session) !== undefined;
              asking = { session: each.session, bytes: LEAST, granted };
              break;
            }
            case "grow":
              if (share !== undefined) {
                const had = share.bytes;
                const granted = budget.grow(share, each.bytes);
                expect(share.bytes).toBe(granted ? Math.max(had, each.bytes) : had);
                asking = { session: share.session, bytes: Math.max(each.bytes - had, 0), granted };
              }
              break;
            case "handle":
              if (share !== undefined) {
                budget.setHandled(share, each.isHandled);
              }
              break;
            case "release":
              if (share !== undefined) {
                budget.release(share);
                budget.release(share);
                requests.held = requests.held.filter((other) => other !== share);
              }
              break;
            case "end":
              requests.held
                .filter((other) => other.session === each.session)
                .forEach((other) => budget.release(other));
              requests.held = requests.held.filter((other) => other.session !== each.session);
          }
          expect(budget.usedBytes).toBe(sum(requests.held));
          expect(budget.usedBytes).toBeLessThanOrEqual(max);
          if (asking !== undefined) {
            const { granted, bytes } = asking;
            const own = looseOf(before, asking.session);
            const most = Math.max(...SESSIONS.map((other) => looseOf(before, other)));
            const fits = sum(before) + bytes <= max;
            if (fits) {
              expect([granted, requests.lost.length]).toEqual([true, 0]);
            } else if (!granted) {
              // No call had more than the caller would have had, or what could be taken did not suffice.
              expect(most <= own + bytes || requests.lost.length > 0).toBe(true);
            }
            for (const victim of requests.lost) {
              expect(victim.session).not.toBe(asking.session);
              expect(looseOf(before, victim.session)).toBeGreaterThan(own + bytes);
            }
          } else {
            expect(requests.lost).toEqual([]);
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

describe("a full budget", () => {
  const [greedy = {}, honest = {}] = SESSIONS;

  test("lets a new session in at the cost of the greediest one's oldest request", () => {
    const requests = new Requests(4 * LEAST);
    const shares = [0, 1, 2, 3].map(() => requests.admitted(greedy));
    requests.admitted(honest);
    expect(requests.lost).toEqual(shares.slice(0, 1));
  });

  test("refuses the session that fills it", () => {
    const requests = new Requests(4 * LEAST);
    for (const _ of [0, 1, 2, 3]) {
      requests.admitted(greedy);
    }
    expect(requests.admit(greedy)).toBeUndefined();
    expect(requests.lost).toEqual([]);
  });

  test("takes nothing of ordinary requests that are handled, and takes large ones and those that were answered", () => {
    const requests = new Requests(4 * LEAST);
    const [first, second, large] = [0, 1, 2].map(() => requests.admitted(greedy));
    if (first === undefined || second === undefined || large === undefined) {
      throw new Error("not admitted");
    }
    expect(requests.budget.grow(large, 2 * LEAST)).toBe(true);
    for (const share of [first, second, large]) {
      requests.budget.setHandled(share, true);
    }
    requests.admitted(honest);
    expect(requests.lost).toEqual([large]);
    requests.admitted({});
    expect(requests.admit({})).toBeUndefined();
    requests.budget.setHandled(second, false);
    requests.budget.setHandled(first, false);
    expect(requests.admit({})).toBeDefined();
    expect(requests.lost).toContain(first);
  });

  test("a request without a share cannot grow", () => {
    const requests = new Requests(4 * LEAST);
    const share = requests.admitted(honest);
    requests.budget.release(share);
    expect(requests.budget.grow(share, 2 * LEAST)).toBe(false);
    expect(requests.budget.usedBytes).toBe(0);
  });
});

test("all calls that may run or wait have room, and as many unfinished ones as a session may have streams", () => {
  const ordinaryCaps = 16 + 32 + 64;
  const calls = ordinaryCaps + MAX_WAITING.Status + MAX_WAITING.Encrypt + MAX_WAITING.Decrypt;
  expect(MAX_BODIES_BYTES).toBeLessThanOrEqual(16 * 1024 * 1024);
  expect(MAX_BODIES_BYTES - calls * LEAST).toBeGreaterThan(2 * 1024 * 1024);
});
