/** The session's transitions at their bounds; that they fit together is in session-state.property.test.ts. */
import { describe, expect, test } from "bun:test";
import { type ErrorClass, ProviderError } from "../../base/error-class.ts";
import { Secret } from "../../base/secret.ts";
import {
  EMPTY_SESSION,
  type Holding,
  mayReplace,
  nextDuty,
  nextSessionState,
  type SessionState,
  sessionHealth,
  usableToken,
} from "./session-state.ts";
import type { Token } from "./token.ts";

const NOW = 1_000_000;
const HOUR = 3_600_000;
const RESERVE = 60_000;
const rules = (random = 0) => ({ loginBeforeExpiryMs: RESERVE, random: () => random });
const error = (errorClass: ErrorClass = "auth_failed") =>
  new ProviderError({ code: "x", errorClass, message: "x" });
const SECRET = new Secret("t");
const tokenOf = (ttlMs: number, more: Partial<Token> = {}): Token => ({
  secret: SECRET,
  kind: "service",
  renewable: true,
  issuedAtMs: NOW,
  expiresAtMs: NOW + ttlMs,
  roleName: undefined,
  ...more,
});

function holding(state: SessionState): Holding {
  if (state.kind !== "holding") {
    throw new TypeError(state.kind);
  }
  return state;
}
const loggedIn = (token: Token = tokenOf(HOUR), random = 0, from: SessionState = EMPTY_SESSION): Holding =>
  holding(nextSessionState(from, { kind: "logged_in", token }, NOW, rules(random)));

describe("a token that was logged in for", () => {
  test.each([
    ["service", true, "renew"],
    ["service", false, "login"],
    ["batch", true, "login"],
    ["batch", false, "login"],
  ] as const)("of kind %s, renewable %p, is kept alive by: %s", (kind, renewable, duty) => {
    expect(loggedIn(tokenOf(HOUR, { kind, renewable })).duty).toBe(duty);
  });

  test.each([
    [HOUR, 0, RESERVE, HOUR - RESERVE],
    [HOUR, 1, RESERVE, HOUR - 1.25 * RESERVE],
    [HOUR, 0.5, RESERVE, HOUR - 1.125 * RESERVE],
    [90_000, 0, 30_000, 60_000],
    [90_000, 1, 30_000, 52_500],
    [1200, 1, 400, 700],
    [0, 0, 0, 0],
  ])(
    "living %p ms, with random %p, keeps %p ms in reserve and is due after %p ms",
    (ttl, random, reserveMs, due) => {
      const { dueAtMs, ...rest } = loggedIn(tokenOf(ttl), random);
      expect([rest.reserveMs, dueAtMs - NOW]).toEqual([reserveMs, due]);
    },
  );

  test("counts denials only from one denied token to the next", () => {
    const first = loggedIn();
    expect([first.denials, first.suspect]).toEqual([0, false]);
    expect(loggedIn(undefined, 0, first).denials).toBe(0);
    const suspect = nextSessionState(first, { kind: "denied" }, NOW, rules());
    expect(holding(suspect).suspect).toBe(true);
    const second = loggedIn(undefined, 0, suspect);
    expect([second.denials, second.suspect]).toEqual([1, false]);
    expect(loggedIn(undefined, 0, second).denials).toBe(1);
    const accepted = nextSessionState(
      nextSessionState(second, { kind: "denied" }, NOW, rules()),
      { kind: "accepted" },
      NOW,
      rules(),
    );
    expect([holding(accepted).denials, holding(accepted).suspect]).toEqual([0, false]);
  });

  test("is no cause for anything when there is none", () => {
    for (const kind of ["denied", "accepted"] as const) {
      expect(nextSessionState(EMPTY_SESSION, { kind }, NOW, rules())).toBe(EMPTY_SESSION);
    }
  });
});

describe("a renewal", () => {
  const renew = (token: Token, from: SessionState = loggedIn(), random = 0): SessionState =>
    nextSessionState(from, { kind: "renewed", token }, NOW, rules(random));

  test("of a token that was replaced meanwhile, or without one, changes nothing", () => {
    const state = loggedIn();
    expect(renew(tokenOf(HOUR, { secret: new Secret("t") }), state)).toBe(state);
    expect(renew(tokenOf(HOUR), EMPTY_SESSION)).toBe(EMPTY_SESSION);
  });

  test.each([
    [1.25 * RESERVE, "login", 0],
    [1.25 * RESERVE + 1, "renew", 0.25 * RESERVE + 1],
    [2 * HOUR, "renew", 2 * HOUR - RESERVE],
  ] as const)("that grants %p ms is followed by a %s in %p ms", (ttl, duty, due) => {
    const next = holding(renew(tokenOf(ttl)));
    expect([next.duty, next.dueAtMs - NOW, next.reserveMs]).toEqual([duty, due, RESERVE]);
  });

  test("after which the token cannot be renewed again is followed by a login in time", () => {
    const next = holding(renew(tokenOf(HOUR, { renewable: false })));
    expect([next.duty, next.dueAtMs - NOW]).toEqual(["login", HOUR - RESERVE]);
  });

  test("ends the trouble", () => {
    const troubled = nextSessionState(
      loggedIn(),
      { kind: "renewal_failed", error: error(), hopeless: false },
      NOW,
      rules(),
    );
    expect(holding(renew(tokenOf(HOUR), troubled)).trouble).toEqual({
      failures: 0,
      error: undefined,
      notBeforeMs: 0,
    });
  });
});

describe("a renewal that fails", () => {
  const fail = (from: SessionState, hopeless: boolean, nowMs = NOW): SessionState =>
    nextSessionState(from, { kind: "renewal_failed", error: error(), hopeless }, nowMs, rules());

  test("is tried again, as long as half of the reserve is left", () => {
    const state = loggedIn();
    const at = (leftMs: number): number => state.token.expiresAtMs - leftMs;
    expect(holding(fail(state, false, at(RESERVE / 2))).duty).toBe("renew");
    expect(holding(fail(state, false, at(RESERVE / 2 - 1))).duty).toBe("login");
  });

  test("for good is followed by a login at once", () => {
    const next = holding(fail(loggedIn(), true));
    expect([next.duty, next.dueAtMs, next.trouble.notBeforeMs, next.trouble.failures]).toEqual([
      "login",
      NOW,
      NOW,
      1,
    ]);
  });

  test("for good after the token's end is followed by a login after a pause", () => {
    const state = loggedIn();
    const next = fail(state, true, state.token.expiresAtMs);
    expect(next.kind).toBe("without");
    expect(nextDuty(next, state.token.expiresAtMs)).toEqual({
      duty: "login",
      atMs: state.token.expiresAtMs + 5000,
    });
  });
});

describe("the pause after failures in a row", () => {
  const pauses = (errorClass: ErrorClass, random: number, from: SessionState = EMPTY_SESSION): number[] => {
    let state = from;
    return Array.from({ length: 5 }, () => {
      state = nextSessionState(state, { kind: "login_failed", error: error(errorClass) }, NOW, rules(random));
      return state.kind === "closed" ? -1 : state.trouble.notBeforeMs - NOW;
    });
  };

  test.each([
    ["auth_failed", 0, [5000, 10_000, 15_000, 15_000, 15_000]],
    ["auth_failed", 1, [6250, 12_500, 18_750, 18_750, 18_750]],
    ["openbao_unavailable", 0, [1000, 2000, 4000, 5000, 5000]],
    ["openbao_sealed", 0, [1000, 2000, 4000, 5000, 5000]],
    ["timeout", 0.5, [1125, 2250, 4500, 5625, 5625]],
  ] as const)("of class %s, with random %p", (errorClass, random, expected) => {
    expect(pauses(errorClass, random)).toEqual([...expected]);
  });

  test.each([
    [HOUR, 5000],
    [9000, 3000],
    [2000, 1000],
  ])("leaves time for a further attempt before a token with %p ms ends: %p ms", (ttl, pauseMs) => {
    expect(pauses("auth_failed", 0, loggedIn(tokenOf(ttl)))[0]).toBe(pauseMs);
  });

  test("keeps the next duty waiting", () => {
    const state = loggedIn(tokenOf(HOUR));
    expect(nextDuty(state, NOW)).toEqual({ duty: "renew", atMs: NOW + HOUR - RESERVE, token: state.token });
    const late = NOW + HOUR - 10;
    const troubled = nextSessionState(state, { kind: "login_failed", error: error() }, late, rules());
    expect(nextDuty(troubled, late)).toEqual({ duty: "renew", atMs: late + 1000, token: state.token });
    expect(mayReplace(troubled, late + 999)).toBe(false);
    expect(mayReplace(troubled, late + 1000)).toBe(true);
  });
});

describe("the end of a token", () => {
  test("is the first moment at which it cannot be used", () => {
    const state = loggedIn();
    const endMs = state.token.expiresAtMs;
    expect(usableToken(state, endMs - 1)).toBe(state.token);
    expect(usableToken(state, endMs)).toBeUndefined();
    expect(nextDuty(state, endMs)).toEqual({ duty: "login", atMs: 0 });
    expect(usableToken(EMPTY_SESSION, NOW)).toBeUndefined();
  });
});

describe("replacing a denied token", () => {
  test("takes a token that is old enough", () => {
    const state = loggedIn();
    expect(mayReplace(state, NOW + 9999)).toBe(false);
    expect(mayReplace(state, NOW + 10_000)).toBe(true);
    expect(mayReplace(EMPTY_SESSION, NOW + HOUR)).toBe(false);
  });
});

describe("health", () => {
  const of = (state: SessionState, nowMs = NOW) => sessionHealth(state, nowMs, 7);

  test("names the state, the whole seconds that are left, and the trouble", () => {
    expect(of(EMPTY_SESSION)).toEqual({
      state: "starting",
      ttlSeconds: undefined,
      credentialExpiresAtMs: 7,
      errorClass: undefined,
      error: undefined,
    });
    expect(of(loggedIn(tokenOf(1999)))).toMatchObject({ state: "ok", ttlSeconds: 1 });
    expect(of(loggedIn(tokenOf(1999)), NOW + 1999)).toMatchObject({ state: "lost", ttlSeconds: undefined });
    const trouble = error("openbao_sealed");
    const failed = { kind: "login_failed", error: trouble } as const;
    expect(of(nextSessionState(EMPTY_SESSION, failed, NOW, rules()))).toMatchObject({
      state: "lost",
      errorClass: "openbao_sealed",
      error: trouble,
    });
    expect(of(nextSessionState(loggedIn(), failed, NOW, rules()))).toMatchObject({ state: "failing" });
    expect(of({ kind: "closed" })).toMatchObject({ state: "closed", error: undefined });
  });
});
