import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeEnvelope, MAX_RETRY_AFTER_MS, retryAfterMs } from "./answer.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("the envelope of an answer", () => {
  test("any bytes decode to an envelope or to nothing, and never throw", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(bytes)), (body) => {
        const envelope = decodeEnvelope(body);
        expect(envelope === undefined || Array.isArray(envelope.errors)).toBe(true);
      }),
    );
  });

  test("what was put in comes out", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.uuid(), fc.array(fc.string(), { maxLength: 8 }), (data, id, errors) => {
        const envelope = decodeEnvelope(bytes(JSON.stringify({ request_id: id, data, errors })));
        expect(envelope?.requestId).toBe(id);
        expect(JSON.stringify(envelope?.data)).toBe(JSON.stringify(data));
        expect(envelope?.errors).toEqual(errors);
      }),
    );
  });

  test.each([
    ["an array", "[]"],
    ["a number", "1"],
    ["null", "null"],
    ["a torn object", '{"data":{"ciphertext":"vault'],
    ["a page", "<html>"],
    ["nesting without end", "[".repeat(200_000)],
  ])("%s is nothing", (_, text) => {
    expect(decodeEnvelope(bytes(text))).toBeUndefined();
  });

  test("invalid UTF-8 is nothing", () => {
    expect(decodeEnvelope(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d))).toBeUndefined();
  });

  test("a request id that is no identifier is dropped, not shown", () => {
    expect(decodeEnvelope(bytes('{"request_id":"a\\nb","data":{}}'))?.requestId).toBeUndefined();
  });

  test("has at most 16 texts of errors, and no other values", () => {
    const errors = [1, ...Array.from({ length: 20 }, (_, index) => `${index}`)];
    expect(decodeEnvelope(bytes(JSON.stringify({ errors })))?.errors).toEqual(
      Array.from({ length: 15 }, (_, index) => `${index}`),
    );
  });

  test.each([
    ["{}", false],
    ['{"request_id":"a"}', true],
    ['{"errors":[]}', true],
    ['{"errors":"x"}', false],
    ["", true],
  ])("%p is one of OpenBao's: %p", (text, expected) => {
    expect(decodeEnvelope(bytes(text))?.isOpenBaos).toBe(expected);
  });

  test("without an envelope the document is the data", () => {
    expect(decodeEnvelope(bytes('{"sealed":false}'))?.data).toEqual({ sealed: false });
  });
});

describe("Retry-After", () => {
  const NOW = Date.parse("2026-01-01T00:00:00Z");
  test.each([
    [null, undefined],
    ["5", 5000],
    ["0", 0],
    ["86400", 30_000],
    ["30", MAX_RETRY_AFTER_MS],
    ["Thu, 01 Jan 2026 00:00:03 GMT", 3000],
    ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
    ["soon", undefined],
    ["", undefined],
  ])("%p is %p ms", (value, ms) => {
    expect(retryAfterMs(value, NOW)).toBe(ms);
  });

  test("is bounded whatever it says", () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const ms = retryAfterMs(value, NOW);
        expect(ms === undefined || (ms >= 0 && ms <= MAX_RETRY_AFTER_MS)).toBe(true);
      }),
    );
  });
});
