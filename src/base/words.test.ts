/** The small functions with which messages are written, and the error that carries them. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { errnoOf } from "./errno.ts";
import { errorClassOf, ProviderError } from "./error-class.ts";
import { nearestName } from "./nearest-name.ts";
import { countOf, versionList } from "./words.ts";

test("counts and lists", () => {
  expect([0, 1, 2].map((count) => countOf(count, "node"))).toEqual(["0 nodes", "1 node", "2 nodes"]);
  expect([[], [3], [2, 1]].map(versionList)).toEqual(["no version", "version 3", "versions 2, 1"]);
});

test("an error keeps its cause to itself, and only when there is one", () => {
  const cause = new Error("from elsewhere");
  const init = { code: "x", errorClass: "timeout", message: "m" } as const;
  expect(new ProviderError({ ...init, cause }).cause).toBe(cause);
  expect("cause" in new ProviderError(init)).toBe(false);
  expect(errorClassOf(new ProviderError(init))).toBe("timeout");
  expect(errorClassOf(cause)).toBe("unknown");
});

test("the system's name of an error, and of nothing else", () => {
  expect(errnoOf(Object.assign(new Error(), { code: "ENOSPC" }))).toBe("ENOSPC");
  expect(errnoOf(Object.assign(new Error(), { code: 5 }))).toBeUndefined();
  expect(errnoOf(new Error())).toBeUndefined();
  expect(errnoOf({ code: "ENOSPC" })).toBeUndefined();
});

const names = ["server.socketPath", "audit", "config", "version"];
test.each([
  ["verson", "version"],
  ["VERSION", "version"],
  ["vesrion", "version"],
  ["aduit", "audit"],
  ["audi", "audit"],
  ["auditx", "audit"],
  // Two changes are allowed for a short name, three for nine letters.
  ["axxit", "audit"],
  ["axxxt", undefined],
  ["socketPath", undefined],
  ["server.sketPth", "server.socketPath"],
  // Everything would have to change.
  ["xy", undefined],
  ["", undefined],
  ["c", undefined],
  ["v".repeat(65), undefined],
])("%s is near %s", (name, near) => {
  expect(nearestName(name, names)).toBe(near);
});

test("the longest name is compared, a longer one is not", () => {
  const long = "n".repeat(64);
  expect(nearestName(long, [`${long}x`])).toBe(`${long}x`);
  expect(nearestName(`${long}x`, [long])).toBeUndefined();
});

test("of two the nearer, of equals the first", () => {
  expect(nearestName("abcdef", ["abcxyf", "abcdxf"])).toBe("abcdxf");
  expect(nearestName("abcdef", ["abcdxf", "abcdef"])).toBe("abcdef");
  expect(nearestName("abcdef", ["xbcdef", "abcdex"])).toBe("xbcdef");
});

test("one change of any kind is always seen", () => {
  const word = fc.stringMatching(/^[a-z]{4,12}$/);
  fc.assert(
    fc.property(
      word,
      fc.nat(11),
      fc.constantFrom("insert", "delete", "replace", "swap"),
      (name, at, kind) => {
        const index = at % name.length;
        const [before, after] = [name.slice(0, index), name.slice(index)];
        const changed = {
          insert: `${before}-${after}`,
          delete: before + after.slice(1),
          replace: `${before}-${after.slice(1)}`,
          swap: before + (after[1] ?? "") + (after[0] ?? "") + after.slice(2),
        }[kind];
        expect(nearestName(changed, [name])).toBe(name);
      },
    ),
  );
});

test("swapped neighbours count once each", () => {
  // Two swaps are as far as six letters may be away; three are too far. Without swaps they would be four and six changes.
  expect(nearestName("bacdfe", ["abcdef"])).toBe("abcdef");
  expect(nearestName("badcfe", ["abcdef"])).toBeUndefined();
});
