import { describe, expect, test } from "bun:test";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { AuditError } from "../errors.ts";
import { decodeKeyValue, decodeRevisionKey } from "./record.ts";

const damaged = expect.objectContaining({ code: "snapshot_damaged" });

describe("the name of a record", () => {
  const name = (main: bigint, rest = "5f0000000000000000"): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt.asUintN(64, main));
    return Buffer.concat([bytes, Buffer.from(rest, "hex")]);
  };

  test("is a revision, of a write or of a deletion", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 1n, max: BigInt(Number.MAX_SAFE_INTEGER) }),
        fc.boolean(),
        (main, isDeletion) => {
          const bytes = name(main, `5f0000000000000001${isDeletion ? "74" : ""}`);
          expect(decodeRevisionKey(bytes)).toEqual({ main: Number(main), isDeletion });
        },
      ),
    );
  });

  test.each([
    ["no revision", name(0n)],
    ["a revision beyond 2^53", name(2n ** 53n)],
    ["a negative revision", name(-1n)],
    ["another separator", name(5n, "5e0000000000000000")],
    ["a byte too few", name(5n).subarray(0, 16)],
    ["another mark than that of a deletion", Buffer.concat([name(5n), Buffer.from("u")])],
    ["a byte behind the mark", Buffer.concat([name(5n), Buffer.from("tt")])],
    ["nothing", Buffer.alloc(0)],
  ])("with %s is damage", (_, bytes) => {
    expect(() => decodeRevisionKey(bytes)).toThrow(damaged);
  });

  test("may begin inside its buffer", () => {
    const bytes = Buffer.concat([Buffer.alloc(5, 9), name(258n)]).subarray(5);
    expect(decodeRevisionKey(bytes).main).toBe(258);
  });
});

describe("a record", () => {
  type Field =
    | readonly [number, WireType.Varint, bigint]
    | readonly [number, WireType.LengthDelimited, string];
  const record = (...fields: readonly Field[]): Uint8Array => {
    const writer = new BinaryWriter();
    for (const [field, wireType, content] of fields) {
      writer.tag(field, wireType);
      if (typeof content === "bigint") {
        writer.int64(content);
      } else {
        writer.bytes(Buffer.from(content));
      }
    }
    return writer.finish();
  };
  const bytes = (field: number, content: string): Field => [field, WireType.LengthDelimited, content];
  const number = (field: number, content: bigint): Field => [field, WireType.Varint, content];
  const read = (raw: Uint8Array) => {
    const { key, value, modRevision } = decodeKeyValue(raw);
    return { key: Buffer.from(key).toString(), value: Buffer.from(value).toString(), modRevision };
  };

  test("of a write and of a deletion", () => {
    const whole = [bytes(1, "k"), number(2, 3n), number(3, 4n), number(4, 2n), bytes(5, "v"), number(6, 7n)];
    expect(read(record(...whole))).toEqual({ key: "k", value: "v", modRevision: 4 });
    expect(read(record(bytes(1, "k")))).toEqual({ key: "k", value: "", modRevision: 0 });
    expect(read(record(bytes(1, "k"), number(3, BigInt(Number.MAX_SAFE_INTEGER)))).modRevision).toBe(
      Number.MAX_SAFE_INTEGER,
    );
    // A lease is any 64-bit number.
    expect(read(record(bytes(1, "k"), number(6, -1n)))).toEqual({ key: "k", value: "", modRevision: 0 });
  });

  test.each<[string, readonly Field[]]>([
    ["without a key", [number(2, 1n), number(3, 1n)]],
    ["with an empty key", [bytes(1, ""), number(3, 1n)]],
    ["with a field twice", [bytes(1, "k"), number(3, 1n), number(3, 1n)]],
    ["with fields out of order", [number(3, 1n), bytes(1, "k")]],
    ["with an unknown field", [bytes(1, "k"), number(7, 1n)]],
    ["with a key that is a number", [number(1, 5n)]],
    ["with a value that is a number", [bytes(1, "k"), number(5, 5n)]],
    ["with a revision that is text", [bytes(1, "k"), bytes(3, "r")]],
    ["with a lease that is text", [bytes(1, "k"), bytes(6, "l")]],
    ["of revision 0", [bytes(1, "k"), number(3, 0n)]],
    ["created at revision 0", [bytes(1, "k"), number(2, 0n)]],
    ["of version 0", [bytes(1, "k"), number(4, 0n)]],
    ["of a negative revision", [bytes(1, "k"), number(3, -1n)]],
    ["of a revision beyond 2^53", [bytes(1, "k"), number(3, 2n ** 53n)]],
  ])("%s is damage", (_, fields) => {
    expect(() => decodeKeyValue(record(...fields))).toThrow(damaged);
  });

  test("from any bytes is read or refused, and its parts are parts of the bytes", () => {
    const whole = record(
      bytes(1, "/registry/a"),
      number(2, 300n),
      number(3, 301n),
      number(4, 1n),
      bytes(5, "val"),
    );
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .array(fc.tuple(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 })), { maxLength: 3 })
        .map((changes) => {
          const changed = Uint8Array.from(whole);
          for (const [at, byte] of changes) {
            changed[at] = byte;
          }
          return changed;
        }),
      fc.nat({ max: whole.length }).map((length) => whole.subarray(0, length)),
    );
    fc.assert(
      fc.property(hostile, (raw) => {
        try {
          const { key, value, modRevision } = decodeKeyValue(raw);
          expect(key.length).toBeGreaterThan(0);
          expect(key.buffer).toBe(raw.buffer);
          expect(Buffer.from(raw).includes(Buffer.from(value))).toBe(true);
          expect(Number.isSafeInteger(modRevision) && modRevision >= 0).toBe(true);
        } catch (error) {
          if (!(error instanceof AuditError)) {
            throw error;
          }
          expect(error.code).toBe("snapshot_damaged");
        }
      }),
      { numRuns: 2000 },
    );
  });
});
