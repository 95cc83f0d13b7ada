import { expect, test } from "bun:test";
import fc from "fast-check";
import { testMetadataReply as good } from "../../../test/fakes/key-scope.ts";
import { decodeKeyMetadata } from "./key-metadata.ts";

test("any JSON is a key's metadata or nothing", () => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.constantFrom(...Object.keys(good), "keys", "latest_version"),
      (value, field) => {
        decodeKeyMetadata(value, null);
        decodeKeyMetadata({ ...good, keys: { "1": 1 }, latest_version: 1, [field]: value }, null);
      },
    ),
  );
});

test("versions come out ascending by number, whatever order they came in", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 50 }),
      fc.integer({ min: 1, max: 4_000_000_000 }),
      (versions, created) => {
        const keys = Object.fromEntries(versions.map((version) => [String(version), created]));
        const latest = Math.max(...versions);
        expect(
          decodeKeyMetadata({ ...good, keys, latest_version: latest }, null)?.versions.map(
            ({ version }) => version,
          ),
        ).toEqual([...versions].sort((a, b) => a - b));
        expect(decodeKeyMetadata({ ...good, keys, latest_version: latest + 1 }, null)).toBeUndefined();
      },
    ),
  );
});

test("an asymmetric key shows its type and no versions of ours", () => {
  const keys = { "1": { creation_time: "2026-01-01T00:00:00Z", public_key: "x" } };
  expect(decodeKeyMetadata({ ...good, type: "rsa-4096", keys, latest_version: 1 }, null)).toMatchObject({
    type: "rsa-4096",
    versions: [],
  });
});

test.each([
  ["Sat, 28 Nov 2026 04:31:04 GMT", 1_795_840_264_000],
  [null, undefined],
  ["yesterday", undefined],
])("OpenBao's clock is its Date header: %p", (date, expected) => {
  const metadata = decodeKeyMetadata({ ...good, keys: { "1": 1 }, latest_version: 1 }, date);
  expect(metadata).toMatchObject({ answeredAtMs: expected });
});

test("what an answer leaves out is off", () => {
  const decoded = decodeKeyMetadata({ ...good, keys: { "1": 1 }, latest_version: 1 }, null);
  expect(decoded).toMatchObject({
    convergent: false,
    softDeleted: false,
    imported: false,
    autoRotatePeriodSeconds: 0,
  });
});
