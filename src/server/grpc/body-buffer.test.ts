import { expect, test } from "bun:test";
import fc from "fast-check";
import { BodyBudget, BodyBuffer } from "./body-budget.ts";

const MAX = 65_541;

function buffer(maxBytes = MAX, budgetBytes = 1024 * 1024) {
  const budget = new BodyBudget(budgetBytes);
  const share = budget.admit({}, () => {});
  if (share === undefined) {
    throw new Error("not admitted");
  }
  return { budget, body: new BodyBuffer(budget, share, maxBytes) };
}

test("what went in comes out, up to the bound, and is counted", () => {
  const piece = fc.integer({ min: 0, max: 20_000 });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (lengths) => {
      const { budget, body } = buffer();
      const expected: Buffer[] = [];
      let length = 0;
      for (const [index, bytes] of lengths.entries()) {
        const next = Buffer.alloc(bytes, index + 1);
        const fits = length + bytes <= MAX;
        expect(body.add(next)).toBe(fits ? "added" : "too_large");
        if (fits) {
          expected.push(next);
          length += bytes;
        }
      }
      expect(Buffer.from(body.bytes)).toEqual(Buffer.concat(expected));
      expect(budget.usedBytes).toBeGreaterThanOrEqual(length);
      expect(budget.usedBytes).toBeLessThanOrEqual(Math.max(MAX, 4096));
    }),
  );
});

test("a piece is copied: what the runtime does with it afterwards changes nothing", () => {
  const { body } = buffer();
  const piece = Buffer.from("abc");
  body.add(piece);
  piece.fill(0);
  expect(Buffer.from(body.bytes).toString()).toBe("abc");
});

test("it stops growing where the budget ends", () => {
  const { body } = buffer(MAX, 8192);
  expect(body.add(Buffer.alloc(8000))).toBe("added");
  expect(body.add(Buffer.alloc(8000))).toBe("no_room");
  expect(body.bytes.length).toBe(8000);
});

test.each([
  [MAX, "added"],
  [MAX + 1, "too_large"],
] as const)("a body of %d bytes: %s", (bytes, expected) => {
  expect(buffer().body.add(Buffer.alloc(bytes))).toBe(expected);
});
