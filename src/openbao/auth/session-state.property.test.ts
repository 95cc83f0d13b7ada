import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ProviderError } from "../../base/error-class.ts";
import { Secret } from "../../base/secret.ts";
import {
  EMPTY_SESSION,
  mayReplace,
  nextDuty,
  nextSessionState,
  type SessionState,
  usableToken,
  YOUNG_MS,
} from "./session-state.ts";
import type { Token } from "./token.ts";

const MAX_TTL_MS = 30 * 86_400_000;
const failure = (errorClass: "auth_failed" | "openbao_unavailable"): ProviderError =>
  new ProviderError({ code: "x", errorClass, message: "x" });

/** An OpenBao with a maximum TTL, and what it does with the next request. */
const world = fc.record({
  ttlMs: fc.integer({ min: 3000, max: 86_400_000 }),
  maxTtlMs: fc.integer({ min: 3000, max: MAX_TTL_MS }),
  renewable: fc.boolean(),
  loginBeforeExpiryMs: fc.integer({ min: 1000, max: 3_600_000 }),
  incrementMs: fc.integer({ min: 2000, max: 86_400_000 }),
  random: fc.double({ min: 0, max: 1, noNaN: true }),
});

/** Plays the session as session.ts does, until it has done `steps` duties; `outage` says whether a request fails. */
function play(
  {
    ttlMs,
    maxTtlMs,
    renewable,
    loginBeforeExpiryMs,
    incrementMs,
    random,
  }: typeof world extends fc.Arbitrary<infer W> ? W : never,
  steps: number,
  outage: (step: number) => "none" | "refused" | "unavailable" = () => "none",
) {
  const rules = { loginBeforeExpiryMs, random: () => random };
  let nowMs = 1_000_000;
  let state: SessionState = EMPTY_SESSION;
  let endMs = 0;
  let gapMs = 0;
  const duties: { duty: "renew" | "login"; atMs: number }[] = [];
  for (let step = 0; step < steps; step += 1) {
    const next = nextDuty(state, nowMs);
    if (next === undefined) {
      throw new Error("the session has nothing to do");
    }
    const before = usableToken(state, nowMs);
    const atMs = Math.max(nowMs, next.atMs);
    if (before !== undefined && atMs > before.expiresAtMs) {
      gapMs += atMs - before.expiresAtMs;
    }
    // As the loop does: it looks again when the token has ended.
    nowMs = before === undefined ? atMs : Math.min(atMs, before.expiresAtMs);
    const duty = nextDuty(state, nowMs);
    if (duty === undefined || duty.atMs > nowMs) {
      continue;
    }
    duties.push({ duty: duty.duty, atMs: nowMs });
    const how = outage(step);
    if (how !== "none") {
      const error = failure(how === "refused" ? "auth_failed" : "openbao_unavailable");
      state = nextSessionState(
        state,
        duty.duty === "login"
          ? { kind: "login_failed", error }
          : { kind: "renewal_failed", error, hopeless: how === "refused" },
        nowMs,
        rules,
      );
    } else if (duty.duty === "login") {
      endMs = nowMs + maxTtlMs;
      const token: Token = {
        secret: new Secret("t"),
        kind: "service",
        renewable,
        issuedAtMs: nowMs,
        expiresAtMs: nowMs + Math.min(ttlMs, maxTtlMs),
        roleName: undefined,
      };
      state = nextSessionState(state, { kind: "logged_in", token }, nowMs, rules);
    } else if (state.kind === "holding") {
      const token = { ...state.token, expiresAtMs: Math.min(nowMs + incrementMs, endMs) };
      state = nextSessionState(state, { kind: "renewed", token }, nowMs, rules);
    }
    nowMs += 50;
  }
  return { state, duties, gapMs, nowMs };
}

describe("a session, for any lifetimes", () => {
  test("never runs dry while OpenBao answers: no renewing down to zero, no gap", () => {
    fc.assert(
      fc.property(world, (each) => {
        const { state, gapMs, nowMs } = play(each, 100);
        expect(gapMs).toBe(0);
        expect(usableToken(state, nowMs)).toBeDefined();
      }),
    );
  });

  test("is never busy: a hundred duties take their time", () => {
    fc.assert(
      fc.property(world, (each) => {
        const { duties } = play(each, 101);
        for (const [index, duty] of duties.entries()) {
          const later = duties[index + 2];
          // A capped renewal is followed by its login at once, and then there is rest.
          expect(later === undefined || later.atMs - duty.atMs >= 500).toBe(true);
        }
      }),
    );
  });

  test("after any troubles it asks again within a bounded time, and not too often", () => {
    fc.assert(
      fc.property(
        world,
        fc.array(fc.constantFrom("none" as const, "refused" as const, "unavailable" as const), {
          minLength: 30,
          maxLength: 30,
        }),
        (each, troubles) => {
          const { state, nowMs, duties } = play(each, 30, (step) => troubles[step] ?? "none");
          const next = nextDuty(state, nowMs);
          const token = usableToken(state, nowMs);
          const soon = token === undefined ? 20_000 : Math.max(20_000, token.expiresAtMs - nowMs);
          expect((next?.atMs ?? 0) - nowMs).toBeLessThanOrEqual(soon);
          const logins = duties.filter(({ duty }) => duty === "login");
          expect(logins.length).toBeGreaterThan(0);
        },
      ),
    );
  });

  test("keeps a good token through failed renewals and logins until its very end", () => {
    fc.assert(
      fc.property(world, (each) => {
        const { state } = play(each, 5, (step) => (step === 0 ? "none" : "unavailable"));
        const token = state.kind === "holding" ? state.token : undefined;
        if (token !== undefined) {
          expect(usableToken(state, token.expiresAtMs - 1)).toBe(token);
          expect(usableToken(state, token.expiresAtMs)).toBeUndefined();
        }
      }),
    );
  });

  test("after a failed attempt there is another before the token ends, when it has more than two seconds left", () => {
    fc.assert(
      fc.property(
        world,
        fc.integer({ min: 6000, max: 60_000 }),
        fc.integer({ min: 1, max: 8 }),
        fc.constantFrom("refused" as const, "unavailable" as const),
        (each, ttlMs, failures, how) => {
          const short = { ...each, ttlMs, maxTtlMs: ttlMs };
          const { state, duties } = play(short, 1 + failures, (step) => (step === 0 ? "none" : how));
          const token = state.kind === "holding" ? state.token : undefined;
          const lastMs = duties.at(-1)?.atMs ?? 0;
          if (token !== undefined && duties.length > 1 && token.expiresAtMs - lastMs > 2000) {
            expect(nextDuty(state, lastMs)?.atMs).toBeLessThan(token.expiresAtMs);
          }
        },
      ),
    );
  });

  test("closed stays closed", () => {
    const rules = { loginBeforeExpiryMs: 1000, random: () => 0 };
    const closed = nextSessionState(EMPTY_SESSION, { kind: "closed" }, 0, rules);
    const after = nextSessionState(closed, { kind: "login_failed", error: failure("auth_failed") }, 1, rules);
    expect(after).toEqual({ kind: "closed" });
    expect(nextDuty(after, 1)).toBeUndefined();
  });
});

describe("denied calls", () => {
  const rules = { loginBeforeExpiryMs: 60_000, random: () => 0 };
  const login = (state: SessionState, nowMs: number): SessionState =>
    nextSessionState(
      state,
      {
        kind: "logged_in",
        token: {
          secret: new Secret("t"),
          kind: "service",
          renewable: true,
          issuedAtMs: nowMs,
          expiresAtMs: nowMs + 3_600_000,
          roleName: undefined,
        },
      },
      nowMs,
      rules,
    );

  test("replace a token once it is 10 s old, then more and more rarely, and after a success soon again", () => {
    let nowMs = 0;
    let state = login(EMPTY_SESSION, nowMs);
    const waits: number[] = [];
    for (let round = 0; round < 5; round += 1) {
      const sinceMs = nowMs;
      while (!mayReplace(state, nowMs)) {
        nowMs += 1000;
      }
      waits.push(nowMs - sinceMs);
      state = login(nextSessionState(state, { kind: "denied" }, nowMs, rules), nowMs);
    }
    expect(waits).toEqual([10_000, 20_000, 40_000, 60_000, 60_000]);
    state = nextSessionState(state, { kind: "accepted" }, nowMs, rules);
    expect(mayReplace(state, nowMs + YOUNG_MS - 1)).toBe(false);
    expect(mayReplace(state, nowMs + YOUNG_MS)).toBe(true);
  });
});
