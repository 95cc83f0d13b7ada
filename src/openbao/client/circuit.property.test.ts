import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { manualClock } from "../../../test/fakes/manual-clock.ts";
import {
  Circuit,
  type CircuitEvent,
  type CircuitState,
  FAILURES_TO_OPEN,
  FIRST_PAUSE_MS,
  LONGEST_PAUSE_MS,
  nextCircuitState,
  type Passage,
} from "./circuit.ts";

const event: fc.Arbitrary<CircuitEvent<string>> = fc.oneof(
  fc.constant({ kind: "ask" as const }),
  fc.constant({ kind: "success" as const }),
  fc.record({ kind: fc.constant("abandoned" as const), probe: fc.boolean() }),
  fc.record(
    {
      kind: fc.constant("failure" as const),
      probe: fc.boolean(),
      cause: fc.string(),
      pauseMs: fc.nat(30_000),
    },
    { requiredKeys: ["kind", "probe", "cause"] },
  ),
);

describe("circuit: one step", () => {
  const halfOpen: CircuitState<string> = { kind: "half_open", openings: 1, cause: "a" };
  test.each([
    ["failure", { kind: "failure", probe: false, cause: "b" }],
    ["failure that names a pause", { kind: "failure", probe: false, cause: "b", pauseMs: 9 }],
    ["end without an answer", { kind: "abandoned", probe: false }],
  ] as const)("the %s of a call from before leaves the probe alone", (_, late) => {
    expect(nextCircuitState(halfOpen, late, 1000)).toEqual(halfOpen);
  });

  test("the probe's failure opens it for longer, its abandonment for no time", () => {
    expect(nextCircuitState(halfOpen, { kind: "failure", probe: true, cause: "b" }, 1000)).toEqual({
      kind: "open",
      untilMs: 1000 + 2 * FIRST_PAUSE_MS,
      openings: 2,
      cause: "b",
    });
    expect(nextCircuitState(halfOpen, { kind: "abandoned", probe: true }, 1000)).toEqual({
      kind: "open",
      untilMs: 1000,
      openings: 1,
      cause: "a",
    });
  });

  test("an open one ignores late failures", () => {
    const open: CircuitState<string> = { kind: "open", untilMs: 5, openings: 1, cause: "a" };
    expect(nextCircuitState(open, { kind: "failure", probe: false, cause: "b" }, 4)).toEqual(open);
    expect(nextCircuitState(open, { kind: "ask" }, 4)).toEqual(open);
    expect(nextCircuitState(open, { kind: "ask" }, 5).kind).toBe("half_open");
  });
});

describe("circuit: any history", () => {
  test("closed never holds the failures that open it, and open always ends", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(event, fc.nat(2000)), { maxLength: 60 }), (history) => {
        let state: CircuitState<string> = { kind: "closed", failures: 0 };
        let nowMs = 0;
        for (const [each, passes] of history) {
          state = nextCircuitState(state, each, nowMs);
          if (state.kind === "closed") {
            expect(state.failures).toBeLessThan(FAILURES_TO_OPEN);
          }
          if (state.kind === "open") {
            expect(state.untilMs - nowMs).toBeLessThanOrEqual(30_000);
          }
          nowMs += passes;
        }
        const later = nextCircuitState(state, { kind: "ask" }, nowMs + 30_000);
        expect(later.kind).not.toBe("open");
        expect(nextCircuitState(later, { kind: "success" }, nowMs)).toEqual({ kind: "closed", failures: 0 });
      }),
    );
  });

  test("never lets two probes through at a time, and is never stuck once all calls have ended", () => {
    type Step = "enter" | "success" | "failure" | "abandon" | "wait";
    const step = fc.constantFrom<Step>("enter", "success", "failure", "failure", "abandon", "wait");
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        let nowMs = 0;
        const circuit = new Circuit<string>({ monotonicMs: () => nowMs });
        const under: { passage: Passage<string>; probe: boolean }[] = [];
        for (const each of steps) {
          if (each === "wait") {
            nowMs += 700;
          } else if (each === "enter") {
            const was = circuit.state.kind;
            const passable = circuit.passable;
            const entered = circuit.enter();
            expect("passage" in entered).toBe(passable);
            if ("passage" in entered) {
              under.push({ passage: entered.passage, probe: was !== "closed" });
              expect(circuit.state.kind).toBe(was === "closed" ? "closed" : "half_open");
            }
          } else {
            const { passage } = under.shift() ?? {};
            if (each === "success") {
              passage?.succeeded();
            } else if (each === "failure") {
              passage?.failed("down");
            } else {
              passage?.abandoned();
            }
          }
        }
        for (const { passage } of under) {
          passage.abandoned();
        }
        nowMs += LONGEST_PAUSE_MS;
        expect(circuit.passable).toBe(true);
      }),
    );
  });
});

describe("circuit: the usual story", () => {
  const fail = (circuit: Circuit<string>, pauseMs?: number): void => {
    const entered = circuit.enter();
    if ("passage" in entered) {
      entered.passage.failed("down", pauseMs);
    }
  };

  test("opens, probes with one call, waits twice as long, closes at the first success", async () => {
    const clock = manualClock();
    const seen: string[] = [];
    const circuit = new Circuit<string>(clock, (kind) => seen.push(kind));
    for (let call = 0; call < FAILURES_TO_OPEN; call += 1) {
      fail(circuit);
    }
    expect(circuit.enter()).toEqual({ refusedFor: "down" });
    await clock.advance(FIRST_PAUSE_MS);
    fail(circuit);
    await clock.advance(FIRST_PAUSE_MS);
    expect(circuit.passable).toBe(false);
    await clock.advance(FIRST_PAUSE_MS);
    const entered = circuit.enter();
    expect(circuit.enter()).toEqual({ refusedFor: "down" });
    if ("passage" in entered) {
      entered.passage.succeeded();
    }
    expect(seen).toEqual(["open", "half_open", "open", "half_open", "closed"]);
  });

  test("opens at once for as long as OpenBao asks", async () => {
    const clock = manualClock();
    const circuit = new Circuit<string>(clock);
    fail(circuit, 7000);
    await clock.advance(6999);
    expect(circuit.passable).toBe(false);
    await clock.advance(1);
    expect(circuit.passable).toBe(true);
  });
});
