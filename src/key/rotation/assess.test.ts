/** What one answer shows against the registry: each finding at its edge, and the gravest first. */
import { describe, expect, test } from "bun:test";
import { testPolicy } from "../../../test/fakes/key-node.ts";
import { testMetadata } from "../../../test/fakes/key-scope.ts";
import { rotated, testFirstContent } from "../../../test/fakes/registry-fixture.ts";
import type { KeyMetadata } from "../../openbao/transit/key-metadata.ts";
import { withNewVersions, withRejected, withRemoved } from "../registry/changes.ts";
import type { RegistryContent } from "../registry/record.ts";
import { assess } from "./finding.ts";

/** Versions 1 and 2 are retired, 3 is active, 4 is pending. */
const content = withNewVersions(
  rotated(rotated(testFirstContent)),
  [{ version: 4, createdAtUnix: 1_700_000_004 }],
  9,
);
const created = (version: number) => ({ version, createdAtUnix: 1_700_000_000 + version });

function codes(change: Partial<KeyMetadata>, from: RegistryContent = content, upsertDisabled = true) {
  const versions = [1, 2, 3, 4].map(created);
  const key = testMetadata([], { versions, latestVersion: 4, ...change });
  return assess(from, { kind: "key", key, upsertDisabled }, testPolicy.names).map(({ code }) => code);
}

test("a key that is as recorded has no findings", () => {
  expect(codes({})).toEqual([]);
});

test.each<readonly [string, Partial<KeyMetadata>, readonly string[]]>([
  ["encrypts from the active version on", { minEncryptionVersion: 3 }, []],
  ["encrypts above the active version only", { minEncryptionVersion: 4 }, ["min_encryption_above_active"]],
  ["hides nothing that is needed", { minDecryptionVersion: 1 }, []],
  [
    "hides a retired version",
    { minDecryptionVersion: 2, versions: [2, 3, 4].map(created) },
    ["needed_version_hidden"],
  ],
  [
    "hides all below the active version",
    { minDecryptionVersion: 3, versions: [3, 4].map(created) },
    ["needed_version_hidden"],
  ],
  [
    "hides the active version",
    { minDecryptionVersion: 4, versions: [created(4)] },
    ["active_version_hidden", "needed_version_hidden"],
  ],
  ["does not show the active version", { versions: [1, 2, 4].map(created) }, ["active_version_absent"]],
  [
    "went back behind the active version",
    { latestVersion: 2, versions: [1, 2].map(created) },
    ["latest_below_active"],
  ],
  [
    "went back to the active version",
    { latestVersion: 3, versions: [1, 2, 3].map(created) },
    ["latest_below_recorded"],
  ],
  [
    "shows the active version as another one",
    { versions: [created(1), created(2), { version: 3, createdAtUnix: 5 }, created(4)] },
    ["active_version_recreated"],
  ],
  [
    "shows a retired version as another one",
    { versions: [created(1), { version: 2, createdAtUnix: 5 }, created(3), created(4)] },
    ["version_recreated"],
  ],
  [
    "is of another profile too",
    { exportable: true, latestVersion: 2, versions: [1, 2].map(created) },
    ["latest_below_active", "exportable"],
  ],
  [
    "is deleted",
    { softDeleted: true, exportable: true, latestVersion: 2, versions: [1, 2].map(created) },
    ["soft_deleted", "latest_below_active", "exportable"],
  ],
])("a key that %s", (_, change, expected) => {
  expect<readonly string[]>(codes(change)).toEqual(expected);
});

test("a mount that makes keys is a finding", () => {
  expect(codes({}, content, false)).toEqual(["upsert_enabled"]);
});

describe("a version that nothing needs", () => {
  test("may be hidden, or be another one, once it was removed", () => {
    const removed = withRemoved(content, [1]);
    expect(codes({ minDecryptionVersion: 2, versions: [2, 3, 4].map(created) }, removed)).toEqual([]);
    const other = [{ version: 1, createdAtUnix: 5 }, ...[2, 3, 4].map(created)];
    expect(codes({ versions: other }, removed)).toEqual([]);
  });

  test("does not count as recorded once it was rejected", () => {
    const pending = rotated(rotated(testFirstContent));
    const rejected = withRejected(pending, { version: 3, createdAtUnix: 9_000_000_000 }, 9);
    expect(codes({ latestVersion: 3, versions: [1, 2, 3].map(created) }, rejected)).toEqual([]);
  });
});
