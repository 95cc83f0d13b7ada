/** The gate against a list of all calls that is looked at as a whole each time. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Gate, type Place } from "./admission.ts";

const CALLERS: readonly object[] = [{}, {}, {}];
const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("enter" as const),
      caller: fc.constantFrom(...CALLERS),
      dedupKey: fc.option(fc.constantFrom("a", "b", "c"), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), which: fc.nat() }) },
);

interface Modelled {
  readonly caller: object;
  readonly place: Place;
  state: Place["state"];
}

test("never more run than the cap, none idles while one waits, and the room is shared among the callers", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 80 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 0, max: 6 }),
      (steps, cap, maxWaiting) => {
        const gate = new Gate(cap, maxWaiting);
        let calls: Modelled[] = [];
        /** All places in the order in which they were taken; the first call of one may leave before the second. */
        const taken = new Set<Place>();
        const placesOf = (some: readonly Modelled[]): readonly Place[] =>
          [...taken].filter((place) => some.some((call) => call.place === place));
        const those = (state: Place["state"], caller?: object): readonly Modelled[] =>
          calls.filter((call) => call.state === state && (caller === undefined || call.caller === caller));

        const enter = (caller: object, dedupKey: string | undefined): void => {
          const before = new Map(calls.map((call) => [call, call.state]));
          const waited = new Map(CALLERS.map((one) => [one, those("waiting", one)]));
          const own = those("waiting", caller).length;
          const most = Math.max(...[...waited.values()].map(({ length }) => length));
          const isFull = those("running").length + those("waiting").length >= cap + maxWaiting;
          const same = calls.find(
            (call) =>
              call.caller === caller &&
              call.state !== "refused" &&
              dedupKey !== undefined &&
              call.place.dedupKey === dedupKey,
          );

          const place = gate.enter(caller, dedupKey);

          expect(place === undefined).toBe(isFull && most <= own + 1);
          const lost = calls.filter((call) => call.state === "refused" && before.get(call) !== "refused");
          expect(placesOf(lost)).toHaveLength(isFull && place !== undefined ? 1 : 0);
          for (const { caller: loser, place: last } of lost) {
            const theirs = waited.get(loser) ?? [];
            expect(theirs).toHaveLength(most);
            expect(placesOf(theirs).at(-1)).toBe(last);
          }
          if (place === undefined) {
            return;
          }
          if (same !== undefined) {
            expect(place).toBe(same.place);
          } else {
            expect(calls.map((call) => call.place)).not.toContain(place);
          }
          const call: Modelled = { caller, place, state: place.state };
          calls.push(call);
          taken.add(place);
          if (place.state === "waiting") {
            const become = (state: Place["state"]) => (): void => {
              expect(call.state).toBe("waiting");
              call.state = state;
            };
            place.waiters.push({ start: become("running"), refuse: become("refused") });
          }
        };

        const leave = (gone: Modelled): void => {
          const waited = placesOf(those("waiting").filter((call) => call !== gone));
          calls = calls.filter((call) => call !== gone);
          gate.leave(gone.place);
          for (const place of placesOf(those("running")).filter((one) => waited.includes(one))) {
            expect(waited.find(({ share }) => share === place.share)).toBe(place);
          }
        };

        for (const each of steps) {
          if (each.kind === "enter") {
            enter(each.caller, each.dedupKey);
          } else {
            calls
              .slice(each.which % (calls.length + 1))
              .slice(0, 1)
              .forEach(leave);
          }
          const running = those("running");
          const waiting = those("waiting");
          expect(gate.calls).toBe(running.length + waiting.length);
          expect(gate.calls).toBeLessThanOrEqual(cap + maxWaiting);
          expect(placesOf(running).length).toBeLessThanOrEqual(cap);
          expect(waiting.length === 0 || placesOf(running).length === cap).toBe(true);
          for (const { place, state } of calls) {
            expect(place.state).toBe(state);
            const alike = calls.filter((call) => call.place === place && call.state !== "refused");
            expect(state === "refused" ? 0 : place.calls).toBe(alike.length);
          }
        }

        // Those that are gone leave nothing behind.
        for (const { place } of calls) {
          gate.leave(place);
        }
        expect(gate.calls).toBe(0);
        const states = Array.from({ length: cap + maxWaiting + 1 }, () => gate.enter({}, "a")?.state);
        expect(states).toEqual([
          ...Array.from({ length: cap }, () => "running" as const),
          ...Array.from({ length: maxWaiting }, () => "waiting" as const),
          undefined,
        ]);
      },
    ),
    { numRuns: 500 },
  );
});
