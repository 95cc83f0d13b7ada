import { describe, expect, test } from "bun:test";
import { manualClock } from "../../../test/fakes/manual-clock.ts";
import { credentialWatch } from "./credential-watch.ts";
import { AuthError } from "./errors.ts";
import type { CredentialState, LoginMethod } from "./login-method.ts";

const bare: LoginMethod = {
  name: "jwt",
  operation: "jwt_login",
  mountPath: "auth/jwt",
  repeatable: true,
  prepare: () => Promise.reject(new Error("not used")),
};

function watching(inspect: () => Promise<CredentialState>) {
  const clock = manualClock();
  const reports: unknown[] = [];
  const watch = credentialWatch({
    method: { ...bare, inspect },
    session: { present: () => undefined },
    openbao: { call: () => Promise.reject(new Error("not used")) },
    clock,
    timeoutMs: 1000,
    observer: (error) => reports.push(error instanceof AuthError ? error.code : error),
  });
  return { clock, reports, watch };
}

describe("a stored credential", () => {
  test("is looked at soon after the start and then once a minute, and a bad one is forgotten", async () => {
    const expired = new AuthError({ code: "jwt_expired", errorClass: "auth_expired", message: "expired" });
    const answers: (CredentialState | AuthError)[] = [{ usesLeft: 2 }, expired, { expiresAtMs: 5 }];
    const { clock, reports, watch } = watching(async () => {
      const next = answers.shift() ?? {};
      if (next instanceof AuthError) {
        throw next;
      }
      return next;
    });
    const stop = new AbortController();
    const running = watch?.run(stop.signal);
    expect(watch?.state()).toEqual({});
    await clock.advance(5000);
    expect(watch?.state()).toEqual({ usesLeft: 2 });
    await clock.advance(60_000);
    expect(watch?.state()).toEqual({});
    await clock.advance(60_000);
    expect(watch?.state()).toEqual({ expiresAtMs: 5 });
    expect(reports).toEqual([undefined, "jwt_expired", undefined]);
    stop.abort();
    await running;
    expect(clock.sleeping).toBe(0);
  });

  test("is not there for methods that make one for each login", () => {
    expect(
      credentialWatch({
        method: bare,
        session: { present: () => undefined },
        openbao: { call: () => Promise.reject(new Error("not used")) },
        clock: manualClock(),
        timeoutMs: 1000,
        observer: () => {},
      }),
    ).toBeUndefined();
  });
});
