import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { FileIdentity } from "../base/safe-file.ts";
import { afterPinTry, decidePinTry, decodePinLatch, type PinLatch, type PinOutcome } from "./pin-latch.ts";

const FILE: FileIdentity = { inode: "8:21", changedNs: "1700000000000000000", sizeBytes: 7 };
const store = (latch: PinLatch | undefined): PinLatch | undefined =>
  latch === undefined ? undefined : decodePinLatch(JSON.stringify(latch));

describe("the PIN latch", () => {
  test("a new file is tried, a refused one is not, and a change of any part makes it new", () => {
    const refused: PinLatch = { state: "refused", pinFile: FILE };
    expect(decidePinTry(undefined, FILE).kind).toBe("try");
    expect(decidePinTry(refused, FILE).kind).toBe("refused");
    for (const changed of [{ inode: "8:22" }, { changedNs: "1700000000000000001" }, { sizeBytes: 8 }]) {
      expect(decidePinTry(refused, { ...FILE, ...changed })).toMatchObject({
        kind: "try",
        afterUnknown: false,
      });
    }
  });

  test("a PIN that was accepted is tried however often a try ends in the dark, on the token's own count", () => {
    let latch: PinLatch | undefined = { state: "accepted", pinFile: FILE };
    for (let round = 0; round < 10; round += 1) {
      const decision = decidePinTry(latch, FILE);
      expect(decision).toMatchObject({ kind: "try", afterUnknown: round > 0 });
      latch = decision.kind === "try" ? afterPinTry(latch, decision.record, "unknown") : latch;
    }
  });

  test("a PIN that was never accepted is not tried a third time in the dark", () => {
    let latch: PinLatch | undefined;
    const kinds = [1, 2, 3].map(() => {
      const decision = decidePinTry(latch, FILE);
      latch = decision.kind === "try" ? afterPinTry(latch, decision.record, "unknown") : latch;
      return decision.kind;
    });
    expect(kinds).toEqual(["try", "try", "unknown"]);
  });

  test("a try in which the token never heard the PIN changes nothing", () => {
    for (const before of [undefined, { state: "accepted", pinFile: FILE }] as const) {
      const decision = decidePinTry(before, FILE);
      expect(decision.kind === "try" && afterPinTry(before, decision.record, "untried")).toEqual(before);
    }
  });

  /**
   * A token that counts wrong tries, and a provider that may die at any moment: before the record, between the record and the
   * token, or between the token's answer and the second record.
   */
  test("whatever happens, each wrong PIN reaches a token that counts at most once, and a right one in the end", () => {
    const event = fc.constantFrom(
      "login",
      "crash-before",
      "crash-after",
      "hang",
      "new-wrong",
      "new-right",
      "unreachable",
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), fc.boolean(), (events, startsRight) => {
        let latch: PinLatch | undefined;
        let written = 0n;
        const file = (): FileIdentity => ({ ...FILE, changedNs: String(written) });
        let right = startsRight;
        let wrongTries = 0;
        let countLow = false;

        const attempt = (how: string): PinOutcome | "not tried" => {
          const decision = decidePinTry(latch, file());
          if (decision.kind !== "try") {
            return "not tried";
          }
          const before = latch;
          latch = store(decision.record);
          if (how === "crash-before") {
            return "unknown";
          }
          let outcome: PinOutcome = "untried";
          if (how !== "unreachable" && !(decision.afterUnknown && countLow)) {
            outcome = how === "hang" ? "unknown" : right ? "accepted" : "refused";
            if (how !== "hang") {
              wrongTries += right ? 0 : 1;
              countLow = !right;
            }
          }
          if (how !== "crash-after") {
            latch = store(afterPinTry(before, decision.record, outcome));
          }
          return outcome;
        };

        for (const each of events) {
          if (each === "new-wrong" || each === "new-right") {
            written += 1n;
            right = each === "new-right";
            wrongTries = 0;
          } else {
            attempt(each);
          }
          expect(wrongTries).toBeLessThanOrEqual(1);
        }
        // A new file with the right PIN always gets through.
        written += 1n;
        right = true;
        expect(attempt("login")).toBe("accepted");
        expect(attempt("login")).toBe("accepted");
      }),
    );
  });

  test("decodes what it wrote, and nothing else without throwing", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const latch = decodePinLatch(text);
        expect(latch === undefined || store(latch) !== undefined).toBe(true);
      }),
    );
    const good: PinLatch = { state: "trying", pinFile: FILE, proven: false, unknownOutcomes: 1 };
    expect(store(good)).toEqual(good);
    for (const bad of [
      { ...good, unknownOutcomes: 0 },
      { ...good, pin: "1234" },
      { ...good, state: "open" },
      { state: "accepted", pinFile: { ...FILE, inode: "../x" } },
    ]) {
      expect(decodePinLatch(JSON.stringify(bad))).toBeUndefined();
    }
  });
});
