import { describe, expect, test } from "bun:test";
import { keyDigestSet, MAX_KEYS_PER_SET } from "./key-digest-set.ts";

const key = (n: number): Uint8Array => Buffer.from(`/registry/secrets/s${n}`);

describe("a set of keys in fixed memory", () => {
  test("takes as many as it was made for, tells seen from new, and says when it is full", () => {
    const set = keyDigestSet(100);
    let taken = 0;
    while (set.add(key(taken)) === "new") {
      taken += 1;
      expect(taken).toBeLessThan(1000);
    }
    expect(taken).toBeGreaterThanOrEqual(100);
    expect(set.add(key(taken))).toBe("full");
    expect(set.add(key(0))).toBe("seen");
    expect(set.add(key(taken - 1))).toBe("seen");
  });

  test("the largest takes 16 MiB", () => {
    const slots = 2 ** Math.ceil(Math.log2(MAX_KEYS_PER_SET / 0.7));
    expect(slots * 16).toBe(16 * 1024 * 1024);
    expect(MAX_KEYS_PER_SET).toBe(Math.floor(slots * 0.7));
  });

  test("is empty after a restart", () => {
    const set = keyDigestSet(10);
    expect(set.add(key(1))).toBe("new");
    set.restart(0, 1);
    expect(set.add(key(1))).toBe("new");
  });

  test("of several parts, each key belongs to exactly one", () => {
    const set = keyDigestSet(1000);
    const owners = Array.from({ length: 200 }, () => 0);
    for (let part = 0; part < 3; part += 1) {
      set.restart(part, 3);
      for (const [n] of owners.entries()) {
        owners[n] = (owners[n] ?? 0) + (set.add(key(n)) === "new" ? 1 : 0);
      }
    }
    expect(new Set(owners)).toEqual(new Set([1]));
  });
});
