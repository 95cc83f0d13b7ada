import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { rotated, testFirstContent, testIdentity } from "../../test/fakes/registry-fixture.ts";
import { identityHashes } from "../key/identity/fingerprint.ts";
import { encodeRecord } from "../key/registry/encoding.ts";
import { REGISTRY_CODES, RegistryError } from "../key/registry/errors.ts";
import { MAX_REGISTRY_BYTES } from "../key/registry/record.ts";
import {
  decodeChange,
  decodeOutcome,
  encodeChange,
  encodeOutcome,
  MAX_CHANGE_BYTES,
  type RegistryChange,
} from "./change-registry.ts";

const HASH = "h".repeat(43);
const change: RegistryChange = {
  statePath: "/var/lib/openbao-kms/state/key-registry.json",
  identity: identityHashes(testIdentity),
  base: HASH,
  content: rotated(testFirstContent),
};
const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const fields = (): Record<string, unknown> => JSON.parse(encodeChange(change));

describe("a change", () => {
  test("comes back as it was, with and without a base", () => {
    expect(decodeChange(Buffer.from(encodeChange(change)))).toEqual(change);
    const first = { ...change, base: undefined, content: testFirstContent };
    expect(decodeChange(Buffer.from(encodeChange(first)))).toEqual(first);
  });

  test("keeps nothing of the record's place in its history", () => {
    const record = { ...change.content, generation: 7, previousHashes: [HASH] };
    expect(decodeChange(Buffer.from(encodeChange({ ...change, content: record })))?.content).toEqual(
      change.content,
    );
  });

  const hostile: readonly (readonly [string, (good: Record<string, unknown>) => Record<string, unknown>])[] =
    [
      ["a field more", (good) => ({ ...good, extra: 1 })],
      ["a relative path", (good) => ({ ...good, statePath: "state" })],
      ["a path with a NUL", (good) => ({ ...good, statePath: "/a\0b" })],
      ["a path that is too long", (good) => ({ ...good, statePath: `/${"a".repeat(4096)}` })],
      ["a base that is no hash", (good) => ({ ...good, base: "x" })],
      ["an identity without a field", (good) => ({ ...good, identity: {} })],
      ["an identity with another field", (good) => ({ ...good, identity: { ...change.identity, x: HASH } })],
      [
        "a record that was edited",
        (good) => ({ ...good, record: String(good["record"]).replace("active", "retired") }),
      ],
      [
        "a record with a history",
        (good) => {
          const later = { ...change.content, generation: 2, previousHashes: [HASH] };
          return { ...good, record: Buffer.from(encodeRecord(later).bytes).toString("utf8") };
        },
      ],
      ["no record", (good) => ({ ...good, record: undefined })],
    ];
  test.each(hostile)("%s is refused", (_, spoil) => {
    expect(decodeChange(bytes(spoil(fields())))).toBeUndefined();
  });

  test("the longest path is taken", () => {
    expect(decodeChange(bytes({ ...fields(), statePath: `/${"a".repeat(4095)}` }))).toBeDefined();
  });

  test("more bytes than any change has are not parsed", () => {
    const text = encodeChange(change);
    const padded = (length: number): Uint8Array => Buffer.from(text.padEnd(length, " "));
    expect(decodeChange(padded(MAX_CHANGE_BYTES))).toBeDefined();
    expect(decodeChange(padded(MAX_CHANGE_BYTES + 1))).toBeUndefined();
  });

  test("the bound leaves room for the largest record, however it is quoted, and for a path", () => {
    const quoted = (length: number): string => "\u0001".repeat(length);
    const largest = bytes({
      ...fields(),
      statePath: `/${quoted(4095)}`,
      record: quoted(MAX_REGISTRY_BYTES),
    });
    expect(largest.length).toBeLessThanOrEqual(MAX_CHANGE_BYTES);
    expect(largest.length).toBeGreaterThan(MAX_CHANGE_BYTES - 64 * 1024);
  });

  test("any bytes are a change or nothing", () => {
    const text = Buffer.from(encodeChange(change));
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.nat(255), (at, byte) => {
        const mutated = Uint8Array.from(text);
        mutated[at] = byte;
        const decoded = decodeChange(mutated);
        // A byte of the path or of a hash may change; of the content, none.
        expect(decoded === undefined || Bun.deepEquals(decoded.content, change.content)).toBe(true);
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (any) => {
        expect(decodeChange(any)).toBeUndefined();
      }),
    );
  });
});

describe("an outcome", () => {
  const codeOf = (text: string): string => {
    try {
      return decodeOutcome(text);
    } catch (error) {
      return error instanceof RegistryError ? `${error.code}: ${error.message} ${error.advice}` : "?";
    }
  };

  test("the new hash", () => {
    expect(decodeOutcome(encodeOutcome({ hash: HASH }))).toBe(HASH);
  });

  test.each(REGISTRY_CODES)("%s is thrown again", (code) => {
    const error = new RegistryError({ code, message: "why", advice: "what" });
    expect(codeOf(encodeOutcome(error))).toBe(`${code}: why what`);
    expect(codeOf(encodeOutcome(new RegistryError({ code, message: "why" })))).toBe(`${code}: why undefined`);
  });

  test("its text cannot drive a terminal", () => {
    const error = new RegistryError({
      code: "state_io",
      message: "a\u001b[2Jb",
      advice: "\u001b[31mc\u0007",
    });
    expect(codeOf(encodeOutcome(error))).toBe("state_io: a\\u001b[2Jb \\u001b[31mc\\u0007");
  });

  test.each([
    "",
    "x",
    "{}",
    '{"ok":true}',
    `{"ok":true,"hash":"short"}`,
    '{"ok":false,"code":"no","message":""}',
  ])("%p is no answer", (text) => {
    expect(codeOf(text)).toStartWith("state_io: state.path: the process");
  });

  test("a message that is too long is no answer", () => {
    const text = (length: number): string =>
      JSON.stringify({ ok: false, code: "state_full", message: "m".repeat(length) });
    expect(codeOf(text(4096))).toStartWith("state_full");
    expect(codeOf(text(4097))).toStartWith("state_io");
  });
});
