import { describe, expect, test } from "bun:test";
import { rotated, testFirstContent } from "../../../test/fakes/registry-fixture.ts";
import {
  withActiveMarker,
  withNewVersions,
  withPromoted,
  withRejected,
  withRemoved,
  withRestored,
} from "./changes.ts";
import { type RegistryContent, type RegistryRecord, recordProblem, successorProblem } from "./record.ts";

const note = { atUnixMs: 1, kind: "override", by: "operator", reason: "test" };
const threeVersions = rotated(rotated(testFirstContent));

function states(content: RegistryContent): readonly string[] {
  return content.versions.map((each) => each.state);
}

function asRecord(content: RegistryContent): RegistryRecord {
  return { ...content, generation: 1, previousHashes: [] };
}

describe("removing and restoring", () => {
  test("only retired versions are removed, and they come back", () => {
    const removed = withRemoved(threeVersions, [1, 3], note);
    expect(states(removed)).toEqual(["removed", "retired", "active"]);
    expect(removed.notes).toEqual([note]);
    expect(recordProblem(asRecord(removed))).toBeUndefined();
    expect(successorProblem(threeVersions, removed)).toBeUndefined();
    const restored = withRestored(removed, [1, 2]);
    expect(states(restored)).toEqual(["retired", "retired", "active"]);
    expect(successorProblem(removed, restored)).toBeUndefined();
  });
});

describe("what was seen", () => {
  test("is pending above the active version and retired below it", () => {
    const content: RegistryContent = { ...threeVersions, versions: threeVersions.versions.slice(2) };
    const seen = withNewVersions(
      content,
      [
        { version: 4, createdAtUnix: 4 },
        { version: 2, createdAtUnix: 2 },
      ],
      9,
    );
    expect(states(seen)).toEqual(["retired", "active", "pending"]);
    expect(recordProblem(asRecord(seen))).toBeUndefined();
    expect(states(withNewVersions(content, [{ version: 3, createdAtUnix: 9 }], 9))).not.toContain("pending");
  });

  test("contradicting what was recorded is kept beside it", () => {
    const rejected = withRejected(threeVersions, { version: 2, createdAtUnix: 7 }, 9);
    expect(states(rejected)).toEqual(["retired", "rejected", "retired", "active"]);
    expect(recordProblem(asRecord(rejected))).toBeUndefined();
  });
});

describe("markers and promotion", () => {
  const seen = withNewVersions(
    testFirstContent,
    [
      { version: 2, createdAtUnix: 2 },
      { version: 3, createdAtUnix: 3 },
      { version: 4, createdAtUnix: 4 },
    ],
    9,
  );
  const marker = "vault:v3:AAAA";

  test("a marker of the active version is kept once", () => {
    const bare = {
      ...testFirstContent,
      versions: testFirstContent.versions.map(({ marker: _marker, ...each }) => each),
    };
    expect(withActiveMarker(bare, marker).versions[0]?.marker).toBe(marker);
    expect(withActiveMarker(testFirstContent, marker)).toEqual(testFirstContent);
  });

  test("a promotion retires what is below, and leaves what is above pending", () => {
    const promoted = withPromoted(seen, { version: 3, createdAtUnix: 3, marker }, 11);
    expect(states(promoted)).toEqual(["retired", "retired", "active", "pending"]);
    expect(promoted.versions[2]).toMatchObject({ activatedUnixMs: 11, marker });
  });

  test("a version of another creation time is not promoted", () => {
    const promoted = withPromoted(seen, { version: 3, createdAtUnix: 33, marker }, 11);
    expect(states(promoted)).toEqual(["retired", "retired", "pending", "pending"]);
  });
});

describe("a step", () => {
  const forbidden: readonly (readonly [string, RegistryContent, RegistryContent])[] = [
    ["back to an older active version", threeVersions, rotated(testFirstContent)],
    [
      "that forgets a version",
      threeVersions,
      { ...threeVersions, versions: threeVersions.versions.slice(1) },
    ],
    [
      "that forgets a marker",
      threeVersions,
      { ...threeVersions, versions: threeVersions.versions.map(({ marker: _marker, ...each }) => each) },
    ],
    ["that forgets a note", { ...threeVersions, notes: [note] }, threeVersions],
    [
      "that accepts what was rejected",
      withRejected(threeVersions, { version: 2, createdAtUnix: 7 }, 9),
      {
        ...threeVersions,
        versions: withNewVersions(threeVersions, [{ version: 2, createdAtUnix: 7 }], 9).versions,
      },
    ],
    [
      "to another identity",
      threeVersions,
      { ...threeVersions, identity: { ...threeVersions.identity, clusterId: "x".repeat(43) } },
    ],
  ];
  test.each(forbidden)("%s is refused", (_, before, after) => {
    expect(successorProblem(before, after)).toBeString();
  });
});
