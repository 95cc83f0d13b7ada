/** One probe after the other, as pure steps: what may be recorded, and what waits until enough probes agree. */
import { describe, expect, test } from "bun:test";
import { testPolicy } from "../../../test/fakes/key-node.ts";
import { testMetadata } from "../../../test/fakes/key-scope.ts";
import { rotated, testFirstContent } from "../../../test/fakes/registry-fixture.ts";
import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import type { RegistryContent } from "../registry/record.ts";
import { type Moment, NO_HISTORY, type ProbeHistory } from "./probe-history.ts";
import { observe } from "./promotion.ts";

const N = testPolicy.requireStableObservationCount;
const created = (version: number): KeyVersion => ({ version, createdAtUnix: 1_700_000_000 + version });

function answer(versions: readonly KeyVersion[]) {
  const latestVersion = versions.at(-1)?.version ?? 0;
  return { kind: "key", key: testMetadata([], { versions, latestVersion }), upsertDisabled: true } as const;
}

interface Walk {
  readonly content: RegistryContent;
  readonly history: ProbeHistory;
  readonly due: KeyVersion | undefined;
}

/** As many probes, one interval apart, that all get this answer. */
function probed(from: Walk, versions: readonly KeyVersion[], times: number, startMs = 0): Walk {
  let walk = from;
  for (let time = 0; time < times; time += 1) {
    const ms = startMs + time * testPolicy.probeIntervalMs;
    const now: Moment = { wallMs: 1_800_000_000_000 + ms, monotonicMs: ms, bootMs: ms };
    const step = observe(walk.content, walk.history, answer(versions), now, testPolicy);
    walk = { content: step.content, history: step.history, due: step.due };
  }
  return walk;
}

const statesOf = ({ content }: Walk): readonly string[] =>
  content.versions.map(({ version, createdAtUnix, state }) => `${version}/${createdAtUnix % 100} ${state}`);

describe("a version that is not active and shows another creation time", () => {
  const start: Walk = { content: rotated(testFirstContent), history: NO_HISTORY, due: undefined };
  const other = { version: 1, createdAtUnix: 1_700_000_077 };
  const shown = [other, created(2), created(3)];

  test("keeps everything out of the registry until enough probes agree", () => {
    const early = probed(start, shown, N - 1);
    expect(early.content).toBe(start.content);
    const confirmed = probed(start, shown, N);
    expect(statesOf(confirmed)).toEqual(["1/1 retired", "1/77 rejected", "2/2 active", "3/3 pending"]);
  });

  test("is rejected once", () => {
    const again = probed(start, shown, N + 3);
    expect(statesOf(again).filter((each) => each.endsWith("rejected"))).toEqual(["1/77 rejected"]);
  });
});

test("the active version is not observed, however often and long it is the newest", () => {
  const probes = 2 * (testPolicy.activationDelayMs / testPolicy.probeIntervalMs + N);
  const first: Walk = { content: testFirstContent, history: NO_HISTORY, due: undefined };
  const walked = probed(first, [created(1)], probes);
  expect(walked.content).toBe(testFirstContent);
  expect(walked.due).toBeUndefined();
  const content = rotated(testFirstContent);
  const second = probed({ ...first, content }, [created(1), created(2)], probes);
  expect([second.content, second.due]).toEqual([content, undefined]);
});

describe("a pending version", () => {
  const active: Walk = { content: testFirstContent, history: NO_HISTORY, due: undefined };
  const shown = [created(1), created(2)];

  test("is due when both the count and the time are reached, and not a probe earlier", () => {
    const probes = testPolicy.activationDelayMs / testPolicy.probeIntervalMs + 1;
    expect(probed(active, shown, probes - 1).due).toBeUndefined();
    expect(probed(active, shown, probes).due).toMatchObject(created(2));
  });

  test("that is due is counted no further", () => {
    const probes = testPolicy.activationDelayMs / testPolicy.probeIntervalMs + 1;
    const due = probed(active, shown, probes);
    const later = probed(due, shown, 3, probes * testPolicy.probeIntervalMs);
    expect(later.content).toBe(due.content);
    expect(later.due).toMatchObject(created(2));
  });

  test("is recorded with whole times that are not before 1970", () => {
    const now: Moment = { wallMs: 10.9, monotonicMs: 0.5, bootMs: 20.9 };
    const early: Moment = { wallMs: -10.9, monotonicMs: 0.5, bootMs: 0.9 };
    const seenAt = (moment: Moment) =>
      observe(testFirstContent, NO_HISTORY, answer(shown), moment, testPolicy).content.observation;
    expect(seenAt(now)).toMatchObject({ lastSeenUnixMs: 10, lastSeenBootMs: 20, stableForMs: 0 });
    expect(seenAt(early)).toMatchObject({ lastSeenUnixMs: 0, lastSeenBootMs: 0 });
  });

  test("that was made again loses its observation, is rejected, and is never due under its number", () => {
    const half = probed(active, shown, 3);
    expect(half.content.observation).toMatchObject({ version: 2, count: 3 });
    const again = probed(half, [created(1), { version: 2, createdAtUnix: 1_700_000_088 }], 12, 90_000);
    expect(again.content.observation).toBeUndefined();
    expect(again.due).toBeUndefined();
    expect(statesOf(again)).toEqual(["1/1 active", "2/2 pending", "2/88 rejected"]);
  });

  test("that is gone when OpenBao went back loses its observation, once enough probes agree", () => {
    const half = probed(active, shown, 3);
    const [first] = shown;
    const gone = first === undefined ? [] : [first];
    expect(probed(half, gone, N - 1, 90_000).content.observation).toBeDefined();
    expect(probed(half, gone, N, 90_000).content.observation).toBeUndefined();
  });
});

describe("after a restart", () => {
  const seen = probed(
    { content: testFirstContent, history: NO_HISTORY, due: undefined },
    [created(1), created(2)],
    1,
    90_000,
  );
  /** What is counted when a new process sees the version at these clocks. */
  const counted = (wallMs: number, bootMs: number): number | undefined => {
    const now = { wallMs: 1_800_000_000_000 + 90_000 + wallMs, monotonicMs: 1, bootMs };
    const shown = answer([created(1), created(2)]);
    return observe(seen.content, NO_HISTORY, shown, now, testPolicy).content.observation?.stableForMs;
  };

  test.each([
    ["less than both clocks show, since the boot clock is exact to the second", 20_000, 110_000, 19_000],
    ["the wall clock, when it shows less", 5000, 110_000, 5000],
    ["nothing, when the wall clock went back", -5000, 110_000, 0],
    ["the time since the machine was booted anew", 20_000, 5000, 4000],
    ["nothing, when the boot clock stands still, however far the wall clock jumps", 600_000, 90_000, 0],
    ["one probe interval at most", 600_000, 690_000, testPolicy.probeIntervalMs],
  ])("the time that is proven is %s", (_, wallMs, bootMs, expected) => {
    expect(counted(wallMs, bootMs)).toBe(expected);
  });
});

test("metadata that shows the active version as lost is not sound, and records nothing", () => {
  const start: Walk = { content: rotated(testFirstContent), history: NO_HISTORY, due: undefined };
  const remade = [created(1), { version: 2, createdAtUnix: 1_700_000_077 }, created(3)];
  const once = probed(start, remade, 1);
  expect(once.history.soundAt).toBeUndefined();
  expect(once.content).toBe(start.content);
  expect(probed(start, [created(1), created(2)], 1).history.soundAt).toBeDefined();
});
