import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { rotated, testFirstContent } from "../../../test/fakes/registry-fixture.ts";
import { sortedCopy } from "../../base/sorted-copy.ts";
import { decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
import { bodyHash, decodeRecord, encodeRecord, fileText } from "./encoding.ts";
import type { FileRefusal } from "./errors.ts";
import { MAX_REGISTRY_BYTES, type RegistryRecord } from "./record.ts";

const record: RegistryRecord = {
  ...rotated(rotated(testFirstContent)),
  generation: 3,
  previousHashes: ["A".repeat(43), "B".repeat(43)],
};
const { bytes, hash } = encodeRecord(record);

/** Names that no file of ours can hold. */
const RESERVED = /__proto__|constructor|prototype/;

/** A file that is right in every way except for what its body says. */
function wellMadeFile(body: unknown): Uint8Array {
  const sorted = sortedCopy(body);
  return Buffer.from(fileText(bodyHash(sorted), sorted));
}

function refusalOf(file: Uint8Array | string): FileRefusal | "record" {
  const decoded = decodeRecord(typeof file === "string" ? Buffer.from(file) : file);
  return decoded.kind === "refused" ? decoded.code : "record";
}

describe("decodeRecord", () => {
  test("reads back what was written", () => {
    expect(decodeRecord(bytes)).toEqual({ kind: "record", record, hash });
  });

  test("no change of any bytes goes unnoticed, and none makes it throw", () => {
    fc.assert(
      fc.property(
        fc.nat(bytes.length - 1),
        fc.nat(8),
        fc.uint8Array({ maxLength: 8 }),
        (at, remove, insert) => {
          const changed = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
          expect(refusalOf(changed) === "record").toBe(Buffer.from(bytes).equals(changed));
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("a file cut short anywhere is torn", () => {
    for (let length = 0; length < bytes.length - 1; length += 7) {
      expect(refusalOf(bytes.subarray(0, length))).toBe("registry_torn");
    }
  });

  test("a well-made file with any other body is refused or keeps every rule", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(record)),
        fc.oneof(
          fc
            .json()
            .filter((text) => !RESERVED.test(text))
            .map((text): unknown => JSON.parse(text)),
          fc.constant(undefined),
        ),
        (key, value) => {
          const body: unknown = { ...record, [key]: value };
          const code = refusalOf(wellMadeFile(body));
          expect(["record", "registry_invariant", "registry_edited"]).toContain(code);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("fields of a newer minor release are kept when an older one writes", () => {
    const newer = { ...record, future: { a: [1, { b: null }] } };
    const first = { ...newer.versions[0], futureToo: "x" };
    const decoded = decodeRecord(wellMadeFile({ ...newer, versions: [first, ...record.versions.slice(1)] }));
    if (decoded.kind !== "record") {
      throw new Error(decoded.code);
    }
    const again = encodeRecord({
      ...decoded.record,
      generation: 4,
      previousHashes: ["A", "B", "C"].map((each) => each.repeat(43)),
    });
    const text = Buffer.from(again.bytes).toString();
    expect(JSON.parse(text).body.future).toEqual({ a: [1, { b: null }] });
    expect(JSON.parse(text).body.versions[0].futureToo).toBe("x");
  });

  const [one, two, three] = record.versions;
  const bad: readonly (readonly [string, Uint8Array | string, FileRefusal])[] = [
    ["nothing", "", "registry_torn"],
    ["zeros, as a file system leaves after a crash", new Uint8Array(4096), "registry_torn"],
    ["another program's text", "key = value\n", "registry_foreign"],
    ["another program's binary file", Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 0xff), "registry_foreign"],
    ["another program's JSON", '{"versions":[]}', "registry_foreign"],
    ["JSON that is not an object", "[]", "registry_foreign"],
    ["a byte order mark", `\ufeff${Buffer.from(bytes).toString()}`, "registry_foreign"],
    [
      "the Go implementation's registry",
      '{"schemaVersion":"keyregistry.openbao-kms/v1alpha1","generation":2,"snapshots":[]}',
      "registry_of_go",
    ],
    [
      "a newer format",
      Buffer.from(bytes).toString().replace('"formatVersion": 1', '"formatVersion": 2'),
      "registry_newer",
    ],
    ["a reformatted file", JSON.stringify(JSON.parse(Buffer.from(bytes).toString())), "registry_edited"],
    ["a changed state", Buffer.from(bytes).toString().replace('"retired"', '"removed"'), "registry_edited"],
    ["more than the bound", new Uint8Array(MAX_REGISTRY_BYTES + 1), "registry_too_large"],
    [
      "deep nesting",
      `{\n  "format": "bao-kms-provider.registry","body":${"[".repeat(100_000)}`,
      "registry_torn",
    ],
    ["a body nested too deeply", nested(), "registry_edited"],
    ["no version at all", wellMadeFile({ ...record, versions: [] }), "registry_invariant"],
    ["no active version", wellMadeFile({ ...record, versions: [one, two] }), "registry_invariant"],
    [
      "two active versions",
      wellMadeFile({ ...record, versions: [one, { ...two, state: "active" }, three] }),
      "registry_invariant",
    ],
    ["versions out of order", wellMadeFile({ ...record, versions: [two, one, three] }), "registry_invariant"],
    ["a version twice", wellMadeFile({ ...record, versions: [one, one, two, three] }), "registry_invariant"],
    [
      "a version with two creation times",
      wellMadeFile({ ...record, versions: [one, { ...one, createdAtUnix: 1_900_000_000 }, two, three] }),
      "registry_invariant",
    ],
    [
      "pending below active",
      wellMadeFile({ ...record, versions: [{ ...one, state: "pending" }, two, three] }),
      "registry_invariant",
    ],
    [
      "retired above active",
      wellMadeFile({ ...record, versions: [one, two, three, { ...one, version: 4 }] }),
      "registry_invariant",
    ],
    [
      "a rejected version that contradicts nothing",
      wellMadeFile({ ...record, versions: [one, two, three, { ...one, version: 9, state: "rejected" }] }),
      "registry_invariant",
    ],
    [
      "an observation of what is not pending",
      wellMadeFile({
        ...record,
        observation: {
          version: 3,
          createdAtUnix: 1_700_000_003,
          count: 1,
          stableForMs: 0,
          lastSeenUnixMs: 0,
          lastSeenBootMs: 0,
        },
      }),
      "registry_invariant",
    ],
    ["a chain that does not fit", wellMadeFile({ ...record, generation: 9 }), "registry_invariant"],
    [
      "another spelling of a ciphertext",
      wellMadeFile({ ...record, versions: [{ ...one, marker: "vault:v01:AAAA" }, two, three] }),
      "registry_invariant",
    ],
    [
      "a ciphertext with unused bits set",
      wellMadeFile({ ...record, versions: [{ ...one, marker: "vault:v1:AB==" }, two, three] }),
      "registry_invariant",
    ],
    [
      "a ciphertext that ends within a base64 group",
      wellMadeFile({ ...record, versions: [{ ...one, marker: "vault:v1:AAAAA" }, two, three] }),
      "registry_invariant",
    ],
    [
      "a reserved name",
      Buffer.from(bytes).toString().replace('"fingerprint"', '"__proto__"'),
      "registry_edited",
    ],
  ];
  test.each(bad)("%s", (_, file, expected) => {
    expect(refusalOf(file)).toBe(expected);
  });
});

function nested(): string {
  let body: unknown = 1;
  for (let depth = 0; depth < 40; depth += 1) {
    body = [body];
  }
  return fileText("A".repeat(43), body);
}

describe("decodeCheckpoint", () => {
  const checkpoint = { generation: 7, hash };
  const file = encodeCheckpoint(checkpoint);

  test("reads back what was written", () => {
    expect(decodeCheckpoint(file)).toEqual({ kind: "checkpoint", checkpoint });
  });

  test("no change of any bytes makes it throw, or hides", () => {
    fc.assert(
      fc.property(
        fc.nat(file.length - 1),
        fc.nat(4),
        fc.uint8Array({ maxLength: 4 }),
        (at, remove, insert) => {
          const changed = Buffer.concat([file.subarray(0, at), insert, file.subarray(at + remove)]);
          const decoded = decodeCheckpoint(changed);
          const same =
            decoded.kind === "checkpoint" &&
            decoded.checkpoint.generation === 7 &&
            decoded.checkpoint.hash === hash;
          expect(same).toBe(Buffer.from(file).equals(changed));
        },
      ),
    );
  });

  test("the Go implementation's checkpoint is recognised", () => {
    const text = '{"schemaVersion":"keyregistry.openbao-kms/checkpoint/v1alpha1","generation":2}';
    expect(decodeCheckpoint(Buffer.from(text))).toEqual({ kind: "refused", code: "checkpoint_of_go" });
  });
});
