/** The gate against a model that keeps every call in one list and looks at all of them each time. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Gate, type Place } from "./admission.ts";

const step = fc.oneof(
  fc.record({
    kind: fc.constant("enter" as const),
    identity: fc.option(fc.constantFrom("a", "b", "c"), { nil: undefined }),
  }),
  fc.record({ kind: fc.constant("leave" as const), which: fc.nat() }),
);

interface Modelled {
  readonly place: Place;
  readonly start: () => void;
  /** Identical calls have the same number. */
  readonly group: number;
}

/** Groups in the order of their first call that is still here; the first `cap` that were let in run. */
class Model {
  readonly calls: Modelled[] = [];
  readonly running = new Set<number>();
  readonly #cap: number;

  constructor(cap: number) {
    this.#cap = cap;
  }

  settle(): void {
    const groups = new Set(this.calls.map(({ group }) => group));
    for (const group of this.running) {
      if (!groups.has(group)) {
        this.running.delete(group);
      }
    }
    for (const group of [...groups].sort((a, b) => a - b)) {
      if (this.running.size < this.#cap) {
        this.running.add(group);
      }
    }
  }
}

test("calls run in the order of their arrival, identical ones together, and never more than the cap", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 0, max: 4 }),
      (steps, cap, maxWaiting) => {
        const gate = new Gate(cap, maxWaiting);
        const model = new Model(cap);
        let groups = 0;
        let started: Modelled["start"][] = [];
        for (const each of steps) {
          if (each.kind === "enter") {
            const start = (): void => {
              started.push(start);
            };
            const place = gate.enter(each.identity, start);
            expect(place === undefined).toBe(model.calls.length >= cap + maxWaiting);
            if (place !== undefined) {
              const same = model.calls.find((call) => call.place === place);
              const identical = model.calls.some(
                (call) => each.identity !== undefined && call.place.identity === each.identity,
              );
              expect(same !== undefined).toBe(identical);
              groups += 1;
              model.calls.push({ place, start, group: same?.group ?? groups });
            }
          } else if (model.calls.length > 0) {
            const [gone] = model.calls.splice(each.which % model.calls.length, 1);
            if (gone !== undefined) {
              const ranBefore = new Set(model.running);
              started = [];
              gate.leave(gone.place, gone.start);
              model.settle();
              const letIn = model.calls.filter(
                ({ group }) => model.running.has(group) && !ranBefore.has(group),
              );
              expect(started).toEqual(letIn.map(({ start }) => start));
            }
          }
          model.settle();
          expect(gate.calls).toBe(model.calls.length);
          for (const { place, group } of model.calls) {
            expect(place.isRunning).toBe(model.running.has(group));
            expect(place.calls.size).toBe(model.calls.filter((call) => call.group === group).length);
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});
