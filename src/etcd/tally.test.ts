import { describe, expect, test } from "bun:test";
import { AuditError } from "./errors.ts";
import { tally } from "./tally.ts";

const PREFIX = "/registry/";
const count = () => tally({ prefix: PREFIX, knownKeyIds: new Map(), nowUnixMs: 0 });
/** An object of a resource of its own, in plaintext. */
const entry = (n: number) => ({
  key: Buffer.from(`${PREFIX}example.com/kind${n}/ns/name`),
  value: Buffer.from("k8s\0x"),
  modRevision: 1,
});

describe("the number of groups", () => {
  const MAX_GROUPS = 20_000;

  test("is bounded; one more object of a group that is known still counts", () => {
    const full = count();
    for (let n = 0; n < MAX_GROUPS; n += 1) {
      full.add(entry(n));
    }
    full.add(entry(0));
    expect(full.result().objects).toBe(MAX_GROUPS + 1);
    expect(() => full.add(entry(MAX_GROUPS))).toThrow(AuditError);
  });

  test("begins again with a reset", () => {
    const tallied = count();
    tallied.add(entry(1));
    tallied.reset();
    expect(tallied.result()).toEqual({ objects: 0, resources: [], keyIds: [], seeds: 0 });
  });
});
