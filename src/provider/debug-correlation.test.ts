import { expect, test } from "bun:test";
import { manualClock } from "../../test/fakes/manual-clock.ts";
import { hashText } from "../key/identity/key-scope.ts";
import type { LogFields } from "../telemetry/log-event.ts";
import { startDebugCorrelation } from "./debug-correlation.ts";

const OPTIONS = { enabled: true, ttl: 60_000, incidentId: "inc-7" };
const INCIDENT = {
  debugCorrelationIncident: "inc-7",
  debugCorrelationExpiresAt: "2027-01-15T08:01:00.000Z",
};

function started() {
  const clock = manualClock(Date.UTC(2027, 0, 15, 8));
  const logged: (readonly [string, LogFields | undefined])[] = [];
  const logger = { warn: (event: string, fields?: LogFields) => void logged.push([event, fields]) };
  return { clock, logged, logger, correlation: startDebugCorrelation(OPTIONS, clock) };
}

test("is there only when it is enabled", () => {
  expect(startDebugCorrelation({ ...OPTIONS, enabled: false }, manualClock())).toBeUndefined();
});

test("a call has the incident and the hash of its uid, until the time is over", async () => {
  const { clock, correlation } = started();
  expect(correlation?.fieldsFor("uid-1")).toEqual({ ...INCIDENT, requestUidHash: hashText("uid-1") });
  expect(correlation?.fieldsFor("")).toEqual({});
  await clock.advance(59_999);
  expect(correlation?.fieldsFor("uid-1")).not.toEqual({});
  await clock.advance(1);
  expect(correlation?.fieldsFor("uid-1")).toEqual({});
});

test("its beginning and its end are logged, and no end when the process ends first", async () => {
  const { clock, logged, logger, correlation } = started();
  await clock.advance(10_000);
  const announced = correlation?.announce(logger, new AbortController().signal);
  await clock.advance(49_999);
  expect(logged).toEqual([["debug_correlation.started", INCIDENT]]);
  await clock.advance(1);
  await announced;
  expect(logged[1]).toEqual(["debug_correlation.ended", INCIDENT]);

  const other = started();
  const stop = new AbortController();
  const stopped = other.correlation?.announce(other.logger, stop.signal);
  stop.abort();
  await stopped;
  expect(other.logged).toHaveLength(1);
});
