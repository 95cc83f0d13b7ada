/** How a node without a registry begins, decided from one answer after the other. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { testPolicy } from "../../../test/fakes/key-node.ts";
import { testMetadata } from "../../../test/fakes/key-scope.ts";
import { type BootstrapPolicy, bootstrapStep, type Candidate } from "./bootstrap.ts";
import { noticeMs } from "./probe-history.ts";

const PATH = "/state/key-registry.json";
const NOW = 1_800_000_000_000;
const observe: BootstrapPolicy = { ...testPolicy, missingState: "observe" };
const { activationDelayMs: DELAY, requireStableObservationCount: N } = observe;
const SETTLED = DELAY + noticeMs(observe) + 1000;

/** An answer with versions from `first` on of these ages, the oldest first. */
function aged(agesMs: readonly number[], change: Parameters<typeof testMetadata>[1] = {}, first = 1) {
  const versions = agesMs.map((age, index) => ({
    version: first + index,
    createdAtUnix: (NOW - age) / 1000,
  }));
  const latestVersion = first + agesMs.length - 1;
  const key = testMetadata([], { versions, latestVersion, answeredAtMs: NOW, ...change });
  return { kind: "key", key, upsertDisabled: true } as const;
}

function begin(answer: Parameters<typeof bootstrapStep>[0], policy = observe, before?: Candidate) {
  return bootstrapStep(answer, before, PATH, policy);
}

/** The version with which it begins after enough equal answers, or the code of why it waits. */
function outcome(answer: Parameters<typeof bootstrapStep>[0], policy = observe): number | string {
  let before: Candidate | undefined;
  for (let probe = 1; ; probe += 1) {
    const step = begin(answer, policy, before);
    if (step.kind === "begin") {
      return step.active.version;
    }
    if (step.candidate === undefined || probe > N) {
      return step.reason.code;
    }
    before = step.candidate;
  }
}

test("other nodes have promoted a version this long after the delay", () => {
  expect(noticeMs({ ...observe, requireStableObservationCount: 3, probeIntervalMs: 30_000 })).toBeCloseTo(
    132_000,
  );
});

describe("refuse", () => {
  test.each([
    ["an unrotated key", aged([9]), 1],
    ["a rotated key", aged([DELAY * 9, DELAY * 8]), "registry_rotated_without_state"],
    ["a key whose version 1 is hidden", aged([DELAY * 9], {}, 2), "registry_rotated_without_state"],
    ["a key without versions", aged([]), "registry_rotated_without_state"],
    ["a key that does not exist", { kind: "missing" } as const, "no_key_version"],
    ["a key of another profile", aged([9], { exportable: true }), "no_key_version"],
    [
      "an unrotated key that encrypts with later ones only",
      aged([9], { minEncryptionVersion: 2 }),
      "no_key_version",
    ],
    ["an external key, whose versions have no times", aged([], { type: "external-key" }), "no_key_version"],
    ["a mount that makes keys", { ...aged([9]), upsertDisabled: false }, "no_key_version"],
  ])("%s", (_, answer, expected) => {
    expect(outcome(answer, { ...observe, missingState: "refuse" })).toBe(expected);
  });

  test.each([
    ["that does not exist", { kind: "missing" } as const, "transit_key_missing"],
    ["of another profile", aged([9], { exportable: true }), "status_stale"],
  ])("a key %s: %s", (_, answer, errorClass) => {
    const step = begin(answer, { ...observe, missingState: "refuse" });
    expect(step.kind === "wait" ? step.reason.errorClass : "").toBe(errorClass);
  });

  test("one answer is enough, and nothing is inferred", () => {
    const policy: BootstrapPolicy = { ...observe, missingState: "refuse" };
    expect(begin(aged([DELAY * 9]), policy)).toMatchObject({ kind: "begin", observed: false });
  });
});

describe("observe", () => {
  test.each<readonly [string, ReturnType<typeof aged>, number | string]>([
    ["only version 1", aged([DELAY * 9]), 1],
    ["the newest of settled ones", aged([9e8, 8e8, SETTLED]), 3],
    [
      "a version that could be promoted and is not settled",
      aged([9e8, 8e8, SETTLED - 1000]),
      "registry_observing",
    ],
    ["a version that may just have been promoted", aged([9e8, 8e8, DELAY - 1000]), "registry_observing"],
    ["a version that cannot have been promoted", aged([9e8, 8e8, DELAY - 2000]), 2],
    ["a version from the future", aged([9e8, 8e8, -5000]), 2],
    ["two that cannot", aged([9e8, DELAY - 3000, DELAY - 2000]), 1],
    ["version 1 needs no age", aged([5000, 4000]), 1],
    ["version 1 is hidden, version 2 is young", aged([5000], {}, 2), "registry_observing"],
    ["version 1 is hidden, version 2 is settled", aged([SETTLED], {}, 2), 2],
    ["a rotated key without a Date", aged([9e8, 8e8], { answeredAtMs: undefined }), "openbao_time_unknown"],
    ["an unrotated key without a Date", aged([9e8], { answeredAtMs: undefined }), 1],
    ["a profile that is wrong", aged([9e8, 8e8], { derived: true }), "no_key_version"],
    ["the active version may not encrypt", aged([9e8, 8e8], { minEncryptionVersion: 3 }), "no_key_version"],
  ])("%s", (_, answer, expected) => {
    expect(outcome(answer)).toBe(expected);
  });

  test("as many answers in succession must agree", () => {
    const answer = aged([9e8, 8e8]);
    let before: Candidate | undefined;
    for (let probe = 1; probe < N; probe += 1) {
      const step = begin(answer, observe, before);
      expect(step).toMatchObject({ kind: "wait", candidate: { active: { version: 2 }, count: probe } });
      before = step.kind === "wait" ? step.candidate : undefined;
    }
    expect(begin(answer, observe, before)).toMatchObject({ kind: "begin", observed: true });
  });

  const counted = { latestVersion: 2, count: N - 1 };
  const second = { version: 2, createdAtUnix: (NOW - 8e8) / 1000 };
  test.each<readonly [string, Candidate, string]>([
    ["the same", { ...counted, active: second }, "begin"],
    ["a newer version came", { ...counted, active: second, latestVersion: 1 }, "begin"],
    ["another version", { ...counted, active: { ...second, version: 1 } }, "wait"],
    ["another creation time", { ...counted, active: { ...second, createdAtUnix: 1 } }, "wait"],
    ["the key went back", { ...counted, active: second, latestVersion: 3 }, "wait"],
  ])("counts on: %s", (_, before, expected) => {
    expect<string>(begin(aged([9e8, 8e8]), observe, before).kind).toBe(expected);
  });

  test("an answer that shows a problem starts the count again", () => {
    const step = begin(aged([9e8, 8e8], { derived: true }), observe, { ...counted, active: second });
    expect(step).not.toHaveProperty("candidate");
  });

  test.each([
    ["a key that is younger than the delay", [DELAY - 2000], 1, false],
    ["a key that is not", [DELAY - 1000], N, true],
    ["a rotated key younger than the delay", [DELAY - 2000, 1000], 1, false],
  ])("needs one answer only for %s", (_, ages, probes, observed) => {
    const [first] = aged(ages).key.versions;
    const before = { active: first ?? second, latestVersion: 1, count: N - 1 };
    expect(begin(aged(ages), observe, probes === 1 ? undefined : before)).toMatchObject({
      kind: "begin",
      observed,
    });
    if (probes > 1) {
      expect(begin(aged(ages)).kind).toBe("wait");
    }
  });

  test("never begins below a version that a node may have promoted", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 1, maxLength: 6 }), (seconds) => {
        const ages = seconds.sort((a, b) => b - a).map((each) => each * 1000);
        const active = outcome(aged(ages));
        const promoted = ages.findLastIndex((age) => age >= DELAY) + 1;
        expect(typeof active === "number" ? active : promoted).toBeGreaterThanOrEqual(promoted);
      }),
    );
  });
});
