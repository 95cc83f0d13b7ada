/** What the session asks of OpenBao and when, call by call; that it keeps a token alive is in session.test.ts. */
import { describe, expect, test } from "bun:test";
import { codeOf } from "../../../test/fakes/code-of.ts";
import { manualClock } from "../../../test/fakes/manual-clock.ts";
import { DeadlineError } from "../../base/deadline.ts";
import { Secret } from "../../base/secret.ts";
import type { OpenBaoCall, OpenBaoReply } from "../client/attempt.ts";
import { answerError, OpenBaoError } from "../client/errors.ts";
import type { LoginMethod } from "./login-method.ts";
import { type SessionReport, TokenSession } from "./session.ts";
import type { Token } from "./token.ts";

const MINUTE = 60_000;
const never = new AbortController().signal;
type Answer = OpenBaoReply | ((call: OpenBaoCall) => Promise<OpenBaoReply>);

/** Lets what is runnable run. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const granted = (client_token: string, ttlSeconds = 600, renewable = true): OpenBaoReply => ({
  status: 200,
  data: undefined,
  auth: { client_token, lease_duration: ttlSeconds, renewable, token_type: "service" },
  requestId: "r",
  date: null,
});
const failing =
  (error: Error): Answer =>
  async () => {
    throw error;
  };
const refusal = (status: number): OpenBaoError =>
  answerError(status === 429 ? "rate_limited" : status < 500 ? "request_refused" : "server_error", CALL, {
    status,
  });
const CALL = { operation: "token_renew_self", path: "auth/token/renew-self" } as const;
/** An answer that comes when it is let. */
const later = () => {
  const answer = Promise.withResolvers<OpenBaoReply>();
  return { answer: () => answer.promise, ...answer };
};

function setUp(
  logins: Answer[],
  {
    renewals = [],
    prepare,
    loginTimeoutMs = 10_000,
  }: { renewals?: Answer[]; prepare?: LoginMethod["prepare"]; loginTimeoutMs?: number } = {},
) {
  const clock = manualClock();
  const asked: string[] = [];
  const answers = { approle_login: logins, token_renew_self: renewals };
  const reports: [string, SessionReport][] = [];
  const session = new TokenSession({
    openbao: {
      call: async (call) => {
        const token = call.token?.expose();
        asked.push(token === undefined ? call.operation : `${call.operation} ${token}`);
        if (call.operation !== "approle_login" && call.operation !== "token_renew_self") {
          return granted("none");
        }
        const next = answers[call.operation].shift() ?? granted(`t${asked.length}`);
        return typeof next === "function" ? next(call) : next;
      },
    },
    clock,
    random: () => 0,
    method: {
      name: "approle",
      operation: "approle_login",
      mountPath: "auth/approle",
      repeatable: false,
      prepare: prepare ?? (async () => ({ body: new Secret("{}"), credentialExpiresAtMs: 77 })),
    },
    loginBeforeExpiryMs: MINUTE,
    renewalIncrementMs: 10 * MINUTE,
    loginTimeoutMs,
    callTimeoutMs: 2000,
    observer: {
      onLogin: (report) => reports.push(["login", report]),
      onRenewal: (report) => reports.push(["renewal", report]),
    },
  });
  return { session, clock, asked, reports };
}

const textOf = (token: Token | undefined): string | undefined => token?.secret.expose();

describe("asking for a token", () => {
  test("gives the one that there is, and after a failure asks again at the end of the pause", async () => {
    const { session, clock, asked } = setUp([failing(refusal(500)), granted("a")]);
    expect(session.present()).toBeUndefined();
    expect(await codeOf(session.token(never))).toBe("server_error");
    clock.pass(999);
    expect(await codeOf(session.token(never))).toBe("server_error");
    expect(asked).toHaveLength(1);
    clock.pass(1);
    expect(textOf(await session.token(never))).toBe("a");
    expect(textOf(await session.token(never))).toBe("a");
    expect(textOf(session.present())).toBe("a");
    expect(asked).toHaveLength(2);
    expect(session.health()).toMatchObject({ state: "ok", credentialExpiresAtMs: 77 });
  });

  test("is refused once the session is closed", async () => {
    const { session, asked } = setUp([]);
    await session.close(10);
    expect(await codeOf(session.token(never))).toBe("session_closed");
    expect(asked).toEqual([]);
  });
});

describe("replacing a denied token", () => {
  const denied = async (ageMs: number) => {
    const made = setUp([granted("a"), granted("b")]);
    const token = await made.session.token(never);
    made.clock.pass(ageMs);
    return { ...made, token };
  };

  test("gives undefined while it is young, and a new one from then on", async () => {
    const { session, clock, token, asked } = await denied(9999);
    expect(session.isYoung(token)).toBe(true);
    expect(await session.replace(token, never)).toBeUndefined();
    clock.pass(1);
    expect(session.isYoung(token)).toBe(false);
    expect(textOf(await session.replace(token, never))).toBe("b");
    expect(asked.filter((each) => each === "approle_login")).toHaveLength(2);
  });

  test("gives the one that has replaced it meanwhile, without a login", async () => {
    const { session, token, asked } = await denied(10_000);
    const next = await session.replace(token, never);
    const before = asked.length;
    expect(await session.replace(token, never)).toBe(next);
    expect(asked).toHaveLength(before);
  });

  test("is allowed again soon after a call with the new one succeeded, and only with that one", async () => {
    for (const [accept, age, text] of [
      ["new", 10_000, "c"],
      ["old", 10_000, undefined],
      ["old", 20_000, "c"],
    ] as const) {
      const { session, clock, token } = await denied(10_000);
      const next = await session.replace(token, never);
      if (next === undefined) {
        throw new TypeError("no token");
      }
      session.accepted(accept === "new" ? next : token);
      clock.pass(age);
      const third = await session.replace(next, never);
      expect(third === undefined ? undefined : "c").toBe(text);
    }
  });

  test("that is accepted changes nothing when no token was denied, or there is none", async () => {
    const { session, token } = await denied(10_000);
    const before = session.health();
    session.accepted(token);
    expect(session.health()).toEqual(before);
    const other = setUp([]).session;
    other.accepted(token);
    expect(other.health().state).toBe("starting");
  });
});

describe("the loop", () => {
  async function running(logins: Answer[], renewals: Answer[] = []) {
    const made = setUp(logins, { renewals });
    const stop = new AbortController();
    const run = made.session.run(stop.signal);
    await made.clock.advance(0);
    return { ...made, stop, run };
  }

  test("logs in, renews when that is due and not before, and ends with its signal", async () => {
    const { clock, asked, stop, run, session, reports } = await running([granted("a")], [granted("a")]);
    expect(asked).toEqual(["approle_login"]);
    await clock.advance(9 * MINUTE - 1);
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    expect(asked).toEqual(["approle_login", "token_renew_self a"]);
    expect(session.health().ttlSeconds).toBe(600);
    expect(reports.map(([kind, { status }]) => [kind, status])).toEqual([
      ["login", "ok"],
      ["renewal", "ok"],
    ]);
    stop.abort();
    await run;
    expect(clock.sleeping).toBe(0);
  });

  test("looks at the clock at least every 15 seconds, since a timer stands still while the machine sleeps", async () => {
    const { clock, asked, stop, run } = await running([granted("a")], [granted("a")]);
    clock.suspend(9 * MINUTE);
    await clock.advance(14_999);
    expect(asked).toHaveLength(1);
    await clock.advance(1);
    expect(asked).toHaveLength(2);
    stop.abort();
    await run;
  });

  test("wakes up for a login that a call made", async () => {
    const { clock, asked, stop, run, session } = await running([
      failing(refusal(400)),
      granted("a", 3, false),
      granted("b"),
    ]);
    expect(session.health().state).toBe("lost");
    clock.pass(5000);
    await session.token(never);
    // The token of 3 s is replaced 2 s later, and not when the pause of 5 s would have ended.
    await clock.advance(2000);
    expect(asked.slice(0, 3)).toEqual(["approle_login", "approle_login", "approle_login"]);
    stop.abort();
    await run;
  });

  test.each([
    [400, true],
    [428, true],
    [429, false],
    [500, false],
  ])("takes a renewal refused with %p for hopeless: %p", async (status, isHopeless) => {
    const { clock, asked, stop, run } = await running([granted("a")], [failing(refusal(status))]);
    await clock.advance(9 * MINUTE);
    expect(asked[1]).toBe("token_renew_self a");
    expect(asked[2]).toBe(isHopeless ? "approle_login" : undefined);
    stop.abort();
    await run;
  });

  test.each([
    ["OpenBao does not renew it", answerError("not_renewable", CALL, { status: 500 }), true],
    [
      "the connection was lost",
      new OpenBaoError({ code: "connection_lost", errorClass: "openbao_unavailable", message: "x" }),
      false,
    ],
    ["a bug", new TypeError("bug"), false],
  ])("takes a renewal that failed because %s for hopeless: %p", async (_, error, isHopeless) => {
    const { clock, asked, stop, run } = await running([granted("a")], [failing(error)]);
    await clock.advance(9 * MINUTE);
    expect(asked[2]).toBe(isHopeless ? "approle_login" : undefined);
    stop.abort();
    await run;
  });

  test("does not report a renewal that its end interrupted", async () => {
    const { answer, reject } = later();
    const { clock, stop, run, session, reports } = await running([granted("a")], [answer]);
    await clock.advance(9 * MINUTE);
    stop.abort();
    reject(new Error("stopped"));
    await run;
    expect(reports.map(([kind]) => kind)).toEqual(["login"]);
    expect(session.health().state).toBe("ok");
  });
});

describe("a login", () => {
  test("that is in progress when the session closes is refused, and its token revoked", async () => {
    const { answer, resolve } = later();
    const { session, asked, reports } = setUp([answer]);
    const token = codeOf(session.token(never));
    await settle();
    await session.close(10);
    resolve(granted("late"));
    expect(await token).toBe("session_closed");
    expect(asked).toEqual(["approle_login", "token_revoke_self late"]);
    expect(reports).toEqual([]);
  });

  test("that fails after the session closed is not reported", async () => {
    const { answer, reject } = later();
    const { session, reports } = setUp([answer]);
    const token = codeOf(session.token(never));
    await settle();
    await session.close(10);
    reject(refusal(500));
    expect(await token).toBe("server_error");
    expect([reports, session.health().state]).toEqual([[], "closed"]);
  });

  test("whose callers have all given up fails as canceled, and leaves no trouble", async () => {
    const stop = new AbortController();
    const { session, reports } = setUp([
      ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("aborted")));
        }),
    ]);
    const token = session.token(stop.signal);
    await settle();
    stop.abort();
    expect(await codeOf(token)).toBe("canceled");
    expect([reports, session.health().state]).toEqual([[], "starting"]);
  });

  /** A login during which its time runs out, and then this error. */
  const outOfTime = (error: Error) => {
    const { session, reports } = setUp([], {
      loginTimeoutMs: 1,
      prepare: (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(error));
        }),
    });
    return { session, reports };
  };

  test("that is not answered in time says so, unless the call has said it in its own words", async () => {
    const silent = outOfTime(new Error("whatever a layer makes of it"));
    expect(await codeOf(silent.session.token(never))).toBe("timeout");
    expect(silent.reports.map(([, { error }]) => error?.message)).toEqual([
      expect.stringContaining("within 1ms"),
    ]);
    const said = outOfTime(
      new OpenBaoError({ code: "timeout", errorClass: "timeout", message: "OpenBao is silent" }),
    );
    expect(await codeOf(said.session.token(never))).toBe("timeout");
    expect(said.reports.map(([, { error }]) => error?.message)).toEqual([
      expect.stringContaining("OpenBao is silent"),
    ]);
    const other = outOfTime(refusal(500));
    expect(await codeOf(other.session.token(never))).toBe("timeout");
  });

  test("whose caller runs out of time fails with a timeout of the login", async () => {
    const stop = new AbortController();
    const { session } = setUp([() => new Promise(() => {})]);
    const token = session.token(stop.signal);
    await settle();
    stop.abort(new DeadlineError({ code: "deadline_exceeded", errorClass: "timeout", message: "x" }));
    expect(await codeOf(token)).toBe("timeout");
  });
});

describe("a replaced token", () => {
  test("is revoked once no call with it can be in progress", async () => {
    const { session, clock, asked } = setUp([granted("a"), granted("b")]);
    const token = await session.token(never);
    clock.pass(10_000);
    await session.replace(token, never);
    await clock.advance(1999);
    expect(asked).toEqual(["approle_login", "approle_login"]);
    await clock.advance(1);
    expect(asked).toEqual(["approle_login", "approle_login", "token_revoke_self a"]);
    await session.close(10);
    expect(asked.slice(3)).toEqual(["token_revoke_self b"]);
  });

  test("that has ended by itself meanwhile is not revoked", async () => {
    const { session, clock, asked } = setUp([granted("a", 12), granted("b")]);
    const token = await session.token(never);
    clock.pass(10_000);
    await session.replace(token, never);
    await clock.advance(2000);
    expect(asked).toEqual(["approle_login", "approle_login"]);
  });

  test("is revoked at the end, and only once", async () => {
    const { session, clock, asked } = setUp([granted("a"), granted("b")]);
    const token = await session.token(never);
    clock.pass(10_000);
    await session.replace(token, never);
    await session.close(10);
    await clock.advance(2000);
    expect(asked.slice(2)).toEqual(["token_revoke_self a", "token_revoke_self b"]);
    expect(clock.sleeping).toBe(0);
  });

  test("that had ended before the new login is left alone", async () => {
    const { session, clock, asked } = setUp([granted("a", 10), granted("b")]);
    await session.token(never);
    clock.pass(10_000);
    await session.token(never);
    await clock.advance(5000);
    expect(asked).toEqual(["approle_login", "approle_login"]);
  });
});
