import { describe, expect, test } from "bun:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import {
  fails,
  type Member,
  member,
  PREFIX,
  REVISION,
  type Run,
  readFrom,
  stored,
} from "../../../test/fakes/etcd/members.ts";
import { RangeResponseSchema } from "../gen/etcd/rpc_pb.ts";

const MIB = 1024 * 1024;

describe("a read", () => {
  test("of any store adds each object under the prefix once, in order, whatever the members do", async () => {
    const names = fc.uniqueArray(
      fc.oneof(
        fc.integer({ min: 0, max: 400 }).map((n) => `${PREFIX}secrets/s${n}`),
        fc.constantFrom("/registry", "/registry.x/a", "/registry0", "/other/a", `${PREFIX}\u{10ffff}`),
      ),
      { maxLength: 120 },
    );
    const mishaps = fc.array(fc.constantFrom("none", "lost", "large", "none"), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(names, mishaps, fc.integer({ min: 1, max: 3 }), async (keys, plan, count) => {
        const objects = keys.map((key, n) => ({ key, value: Buffer.of(n), modRevision: BigInt(n + 1) }));
        let turn = 0;
        const members = Array.from({ length: count }, () =>
          member(
            objects.filter(({ modRevision }) => modRevision <= REVISION),
            {
              behave: (call, honest) => {
                const mishap = plan[turn++] ?? "none";
                return mishap === "lost"
                  ? fails(Code.Unavailable)
                  : mishap === "large" && call.limit > 1
                    ? fails(Code.ResourceExhausted)
                    : honest();
              },
            },
          ),
        );
        const { read, entries, error } = await readFrom(members);
        if (error !== undefined) {
          // Twelve calls in a row were lost.
          expect(error).toMatchObject({ code: "etcd_unreachable" });
          expect(plan.filter((each) => each === "lost").length).toBeGreaterThanOrEqual(12);
          return;
        }
        expect(read).toMatchObject({ clusterId: "abc", revision: 90, restarts: 0 });
        expect(entries).toEqual(
          objects
            .filter(({ key, modRevision }) => key.startsWith(PREFIX) && modRevision <= REVISION)
            .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)))
            .map(({ key, modRevision }) => ({ key, modRevision: Number(modRevision) })),
        );
      }),
      { numRuns: 200 },
    );
  });

  test("asks for the newest revision once, and for that one from then on", async () => {
    const one = member(stored(100));
    const { read, progress, resets } = await readFrom([one]);
    expect(one.calls.map(({ revision }) => revision)).toEqual([0n, REVISION, REVISION]);
    expect(one.calls.map(({ limit }) => limit)).toEqual([16, 32, 64]);
    expect(one.calls.map(({ key }) => Buffer.from(key).toString("latin1"))).toEqual([
      PREFIX,
      `${PREFIX}secrets/s00015\0`,
      `${PREFIX}secrets/s00047\0`,
    ]);
    expect(new Set(one.calls.map(({ rangeEnd }) => Buffer.from(rangeEnd).toString()))).toEqual(
      new Set(["/registry0"]),
    );
    expect(read).toEqual({ clusterId: "abc", revision: 90, restarts: 0, readAtUnixMs: 1_800_000_001_000 });
    expect(progress).toEqual([16, 48, 100].map((done) => ({ phase: "count", done, total: 100 })));
    expect(resets).toBe(1);
  });

  test("of an empty store ends at once", async () => {
    const one = member([]);
    expect(await readFrom([one])).toMatchObject({ read: { clusterId: "abc", revision: 90 }, entries: [] });
    expect(one.calls).toHaveLength(1);
  });

  test("doubles the page up to 2,000 objects", async () => {
    const one = member(stored(8000));
    await readFrom([one]);
    expect(one.calls.map(({ limit }) => limit)).toEqual([16, 32, 64, 128, 256, 512, 1024, 2000, 2000, 2000]);
  });

  test("chooses the page so that an answer comes to about 4 MiB", async () => {
    const size = MIB / 8 - `${PREFIX}secrets/s00000`.length;
    const one = member(stored(80, size));
    await readFrom([one]);
    expect(one.calls.map(({ limit }) => limit)).toEqual([16, 32, 32]);
    const huge = member(stored(20, 5 * MIB));
    await readFrom([huge]);
    expect(huge.calls.map(({ limit }) => limit)).toEqual([16, 1, 1, 1, 1]);
  });
});

describe("the rate", () => {
  test("after each page but the last, the rest of the time that its objects may take is waited", async () => {
    const { sleeps } = await readFrom([member(stored(48))], { objectsPerSecond: 100, msPerCall: 40 });
    expect(sleeps).toEqual([160 - 40]);
    expect((await readFrom([member(stored(48))], { objectsPerSecond: 100, msPerCall: 161 })).sleeps).toEqual([
      0,
    ]);
  });
});

describe("a compaction", () => {
  const compacted = (times: number): { one: Member; left: () => number } => {
    let left = times;
    const one = member(stored(40), {
      behave: ({ revision }, honest) => {
        if (revision !== 0n && left > 0) {
          left -= 1;
          return fails(Code.OutOfRange, "etcdserver: mvcc: required revision has been compacted");
        }
        return honest();
      },
    });
    return { one, left: () => left };
  };

  test.each([0, 1, 3])("%i of them: what was read is void, and the read starts again", async (times) => {
    const { one } = compacted(times);
    const { read, entries, resets } = await readFrom([one]);
    expect(read?.restarts).toBe(times);
    expect(resets).toBe(times + 1);
    expect(entries).toHaveLength(40);
    expect(one.calls.filter(({ revision }) => revision === 0n)).toHaveLength(times + 1);
  });

  test("a fourth one ends it", async () => {
    const { one, left } = compacted(9);
    expect((await readFrom([one])).error).toMatchObject({ code: "etcd_compacted" });
    expect(left()).toBe(5);
  });
});

describe("an answer above the bound", () => {
  test("is asked for again with a quarter of the objects", async () => {
    const one = member(stored(8), {
      behave: ({ limit }, honest) => (limit > 2 ? fails(Code.ResourceExhausted) : honest()),
    });
    const { entries } = await readFrom([one]);
    expect(entries).toHaveLength(8);
    expect(one.calls.map(({ limit }) => limit).slice(0, 4)).toEqual([16, 4, 1, 2]);
  });

  test("of a single object ends the read", async () => {
    const one = member(stored(8), { behave: () => fails(Code.ResourceExhausted) });
    expect((await readFrom([one])).error).toMatchObject({ code: "etcd_object_too_large" });
    expect(one.calls.map(({ limit }) => limit)).toEqual([16, 4, 1]);
  });
});

describe("a page that was not asked for", () => {
  const kv = (key: string, modRevision = 5n) => ({ key: Buffer.from(key), value: Buffer.of(1), modRevision });
  const a = kv(`${PREFIX}secrets/a`);
  const b = kv(`${PREFIX}secrets/b`);
  type Page = Pick<MessageInitShape<typeof RangeResponseSchema>, "kvs" | "more">;
  const answers = (page: Page): Promise<Run> =>
    readFrom([
      member([], {
        behave: () =>
          create(RangeResponseSchema, { header: { clusterId: 0xabcn, revision: REVISION }, ...page }),
      }),
    ]);

  test.each<[string, Page]>([
    ["with a key before the range", { kvs: [kv("/registry")] }],
    ["with the end of the range", { kvs: [kv("/registry0")] }],
    ["with keys out of order", { kvs: [b, a] }],
    ["with a key twice", { kvs: [a, a] }],
    ["with an object of revision 0", { kvs: [kv(`${PREFIX}a`, 0n)] }],
    ["with an object of a later revision", { kvs: [kv(`${PREFIX}a`, REVISION + 1n)] }],
    ["with more objects than the limit", { kvs: stored(17).map(({ key }) => kv(key)) }],
    ["empty, and yet more to come", { kvs: [], more: true }],
  ])("%s is refused", async (_, page) => {
    const { error, entries } = await answers(page);
    expect(error).toMatchObject({ code: "etcd_reply_invalid" });
    expect(entries).toEqual([]);
  });

  test("without a header is refused", async () => {
    const one = member([], { behave: () => create(RangeResponseSchema, {}) });
    expect((await readFrom([one])).error).toMatchObject({ code: "etcd_reply_invalid" });
  });

  test("bounds are inclusive: the first key of the range, the read's own revision, as many as the limit", async () => {
    expect((await answers({ kvs: [kv(PREFIX, REVISION), a, b] })).entries).toHaveLength(3);
    expect((await answers({ kvs: stored(16).map(({ key }) => kv(key)) })).entries).toHaveLength(16);
  });
});

describe("an abort", () => {
  test("ends the read with its reason, and no further member is asked", async () => {
    const stop = new AbortController();
    const first = member([], {
      behave: () => {
        stop.abort(new Error("stopped"));
        return fails(Code.Unavailable);
      },
    });
    const second = member(stored(3));
    expect(String((await readFrom([first, second], { signal: stop.signal })).error)).toContain("stopped");
    expect(second.calls).toHaveLength(0);
  });

  test("between two pages too", async () => {
    const stop = new AbortController();
    const one = member(stored(40));
    const { error } = await readFrom([one], {
      signal: stop.signal,
      onEntry: () => stop.abort(new Error("stopped")),
    });
    expect(String(error)).toContain("stopped");
    expect(one.calls).toHaveLength(1);
  });
});
