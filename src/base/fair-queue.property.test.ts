import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FairQueue } from "./fair-queue.ts";

const OWNERS = { a: {}, b: {}, c: {} };
type Name = keyof typeof OWNERS;
const name = fc.constantFrom<Name>("a", "b", "c");
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("add" as const), owner: name }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("take" as const) }) },
  fc.record({ kind: fc.constant("delete" as const), owner: name, which: fc.nat() }),
  fc.record({ kind: fc.constant("forget" as const), owner: name }),
);

describe("what waits, by its owner", () => {
  test("comes in the order of its owner, and no owner is served twice before another that waits", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const queue = new FairQueue<string>();
        /** What waits, in the order of arrival. */
        let waiting: { readonly owner: Name; readonly item: string }[] = [];
        /** Takes of other owners since an owner was served, or began to wait. */
        const passed = new Map<Name, Name[]>();
        steps.forEach((each, index) => {
          switch (each.kind) {
            case "add": {
              const item = `${each.owner}${index}`;
              queue.add(OWNERS[each.owner], item);
              waiting.push({ owner: each.owner, item });
              break;
            }
            case "take": {
              const item = queue.take();
              const owner = waiting.find((one) => one.item === item)?.owner;
              expect(item).toBe(waiting.find((one) => one.owner === owner)?.item);
              expect(item === undefined).toBe(waiting.length === 0);
              waiting = waiting.filter((one) => one.item !== item);
              if (owner !== undefined) {
                passed.delete(owner);
                for (const other of new Set(waiting.map((one) => one.owner))) {
                  if (other !== owner) {
                    const before = passed.get(other) ?? [];
                    expect(before).not.toContain(owner);
                    passed.set(other, [...before, owner]);
                  }
                }
              }
              break;
            }
            case "delete": {
              const own = waiting.filter((one) => one.owner === each.owner);
              const item = own[each.which % (own.length + 1)]?.item ?? "none";
              queue.delete(OWNERS[each.owner], item);
              waiting = waiting.filter((one) => one.item !== item);
              break;
            }
            case "forget":
              queue.forget(OWNERS[each.owner]);
              waiting = waiting.filter((one) => one.owner !== each.owner);
          }
          for (const owner of ["a", "b", "c"] as const) {
            const own = waiting.filter((one) => one.owner === owner);
            expect(queue.last(OWNERS[owner])).toBe(own.at(-1)?.item);
            if (own.length === 0) {
              passed.delete(owner);
            }
          }
          expect(queue.isEmpty).toBe(waiting.length === 0);
          expect(new Set(queue.owners())).toEqual(new Set(waiting.map((one) => OWNERS[one.owner])));
        });
      }),
      { numRuns: 500 },
    );
  });

  test("an owner that waits again stands behind the others", () => {
    const queue = new FairQueue<string>();
    queue.add(OWNERS.a, "a1");
    queue.add(OWNERS.b, "b1");
    queue.add(OWNERS.a, "a2");
    expect([queue.take(), queue.take(), queue.take(), queue.take()]).toEqual(["a1", "b1", "a2", undefined]);
  });
});
