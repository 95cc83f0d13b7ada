import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HELPER_FAILURES, HELPER_STAGES } from "./errors.ts";
import {
  decodeLine,
  decodeRequest,
  encodeLine,
  encodeRequest,
  type HelperLine,
  type HelperRequest,
} from "./helper-protocol.ts";

const MARKER = "0123456789abcdef0123456789abcdef";

const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 });
const header = fc.tuple(
  fc.constantFrom("content-type", "date", "X-Vault-Request"),
  fc.constantFrom("", "a b", "ü"),
);
const label = fc.string({ minLength: 1, maxLength: 30 });
const token = fc.record({
  modulePath: fc.constantFrom("/usr/lib/module.so", "/opt/a b/m.so"),
  tokenLabel: label,
  keyLabel: label,
  maxSessions: fc.integer({ min: 1, max: 64 }),
});
const chain = fc.array(bytes, { minLength: 1, maxLength: 3 });
const login = { pin: label, refuseAfterFailedTry: fc.boolean(), chain };
const exchange = fc.record({
  host: fc.constantFrom("127.0.0.1", "::1", "bao.example"),
  port: fc.integer({ min: 1, max: 65_535 }),
  serverName: label,
  ca: chain,
  method: fc.constantFrom("GET" as const, "POST" as const),
  path: fc.constantFrom("/v1/auth/cert/login", "/v1/auth/c%20d/login"),
  headers: fc.array(header, { maxLength: 4 }),
  body: fc.uint8Array({ maxLength: 300 }),
  maxBytes: fc.integer({ min: 1, max: 1 << 20 }),
});
const request: fc.Arbitrary<HelperRequest> = fc.record({
  marker: fc.constant(MARKER),
  alarmSeconds: fc.integer({ min: 1, max: 3600 }),
  parentPid: fc.integer({ min: 1 }),
  token,
  task: fc.oneof(
    fc.record({ kind: fc.constant("inspect" as const) }),
    fc.record({ kind: fc.constant("prove" as const), ...login }),
    fc.record({ kind: fc.constant("exchange" as const), ...login, exchange }),
  ),
});
const line: fc.Arbitrary<HelperLine> = fc.oneof(
  fc.record({ kind: fc.constant("stage" as const), stage: fc.constantFrom(...HELPER_STAGES) }),
  fc.record(
    {
      kind: fc.constant("failure" as const),
      code: fc.constantFrom(...HELPER_FAILURES),
      detail: fc.constantFrom("C_Sign CKR_DEVICE_ERROR", "load"),
    },
    { requiredKeys: ["kind", "code"] },
  ),
  fc.record({ kind: fc.constant("done" as const) }),
  fc.record({
    kind: fc.constant("answer" as const),
    status: fc.integer({ min: 100, max: 599 }),
    headers: fc.array(header, { maxLength: 4 }),
    body: fc.uint8Array({ maxLength: 300 }),
  }),
);

describe("helper protocol", () => {
  test("a request arrives as it was sent, bytes and Buffers alike", () => {
    fc.assert(
      fc.property(request, (sent) => {
        expect(decodeRequest(encodeRequest(sent))).toEqual(sent);
      }),
    );
    const chainOfBuffers = [Buffer.from([1, 2, 3])];
    const sent: HelperRequest = {
      marker: MARKER,
      alarmSeconds: 1,
      parentPid: 1,
      token: { modulePath: "/m.so", tokenLabel: "t", keyLabel: "k", maxSessions: 2 },
      task: { kind: "prove", pin: "1", refuseAfterFailedTry: false, chain: chainOfBuffers },
    };
    expect(decodeRequest(encodeRequest(sent))).toMatchObject({ task: { chain: [Uint8Array.of(1, 2, 3)] } });
  });

  test("a line arrives as it was said, on a line of its own", () => {
    fc.assert(
      fc.property(line, (said) => {
        const [before, text = "", after] = encodeLine(MARKER, said).split("\n");
        expect([before, after]).toEqual(["", ""]);
        expect(decodeLine(MARKER, text)).toEqual(said);
      }),
    );
  });

  test("nothing without the marker is a line, and no text makes a decoder throw", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), line, (text, said) => {
        decodeRequest(text);
        decodeLine(MARKER, MARKER + text);
        expect(decodeLine(MARKER, text)).toBeUndefined();
        expect(decodeLine(`f${MARKER.slice(1)}`, encodeLine(MARKER, said).trim())).toBeUndefined();
      }),
    );
  });

  test.each([
    { kind: "stage", stage: "lunch" },
    { kind: "failure", code: "made_up" },
    { kind: "failure", code: "sign_failed", detail: "text of a vendor: see https://example" },
    { kind: "answer", status: 99, headers: [], body: "" },
    { kind: "answer", status: 200, headers: [["x", "a\r\nb"]], body: "" },
    { kind: "answer", status: 200, headers: [], body: "not base64!" },
    { kind: "answer", status: 200, headers: [], body: "", more: 1 },
  ])("%j is not a line", (value) => {
    expect(decodeLine(MARKER, MARKER + JSON.stringify(value))).toBeUndefined();
  });

  const LOGIN = { pin: "1", refuseAfterFailedTry: false, chain: ["AQ=="] };
  const EXCHANGE = {
    host: "h",
    port: 1,
    serverName: "s",
    ca: ["AQ=="],
    method: "POST",
    path: "/",
    headers: [],
    body: "",
    maxBytes: 1,
  };
  const REQUEST = { marker: MARKER, alarmSeconds: 1, parentPid: 1 };
  const TOKEN = { modulePath: "/m", tokenLabel: "t", keyLabel: "k", maxSessions: 1 };
  const long = (length: number): string => "x".repeat(length);
  const many = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

  /** `[part, field, largest or smallest that is taken, first that is not]`. */
  test.each([
    ["request", "marker", MARKER, MARKER.slice(1)],
    ["request", "marker", MARKER, `${MARKER}0`],
    ["request", "alarmSeconds", 1, 0],
    ["request", "alarmSeconds", 3600, 3601],
    ["request", "alarmSeconds", 2, 1.5],
    ["request", "parentPid", 1, 0],
    ["request", "parentPid", 2, 1.5],
    ["token", "modulePath", `/${long(4095)}`, `/${long(4096)}`],
    ["token", "modulePath", "/m", "m"],
    ["token", "tokenLabel", long(255), long(256)],
    ["token", "keyLabel", "k", ""],
    ["token", "maxSessions", 1, 0],
    ["token", "maxSessions", 2, 1.5],
    ["login", "pin", "1", ""],
    ["login", "pin", long(255), long(256)],
    ["login", "refuseAfterFailedTry", true, 1],
    ["login", "chain", ["AQ=="], []],
    ["login", "chain", many(512, "AQ=="), many(513, "AQ==")],
    ["login", "chain", ["AQ=="], ["AQ="]],
    ["exchange", "host", long(255), long(256)],
    ["exchange", "host", "h", ""],
    ["exchange", "port", 1, 0],
    ["exchange", "port", 65_535, 65_536],
    ["exchange", "port", 2, 1.5],
    ["exchange", "serverName", long(255), long(256)],
    ["exchange", "serverName", "s", ""],
    ["exchange", "ca", many(512, "AQ=="), []],
    ["exchange", "method", "PATCH", "PUT"],
    ["exchange", "path", "/~!", "/a b"],
    ["exchange", "path", `/${long(4095)}`, `/${long(4096)}`],
    ["exchange", "headers", many(128, ["a", "b"]), many(129, ["a", "b"])],
    ["exchange", "headers", [[long(64), "b"]], [[long(65), "b"]]],
    ["exchange", "headers", [["a", long(16_384)]], [["a", long(16_385)]]],
    ["exchange", "headers", [["a", "\t ~\u0080\u00ff"]], [["a", "\u0100"]]],
    ["exchange", "headers", [["a", ""]], [["a", "", ""]]],
    ["exchange", "body", "AQ==", "AQ="],
    ["exchange", "maxBytes", 1, 0],
    ["exchange", "maxBytes", 1024 * 1024, 1024 * 1024 + 1],
    ["exchange", "maxBytes", 2, 1.5],
  ])("a request's %s.%s has a bound", (part, field, good, bad) => {
    const taken = (value: unknown): boolean => {
      const changed = (name: string) => (name === part ? { [field]: value } : {});
      const task = {
        kind: "exchange",
        ...LOGIN,
        ...changed("login"),
        exchange: { ...EXCHANGE, ...changed("exchange") },
      };
      const sent = { ...REQUEST, ...changed("request"), token: { ...TOKEN, ...changed("token") }, task };
      return decodeRequest(JSON.stringify(sent)) !== undefined;
    };
    expect([taken(good), taken(bad)]).toEqual([true, false]);
  });

  test.each([
    [{ kind: "answer", headers: [], body: "" }, "status", 100, 99],
    [{ kind: "answer", headers: [], body: "" }, "status", 599, 600],
    [{ kind: "answer", headers: [], body: "" }, "status", 200, 200.5],
    [{ kind: "failure", code: "sign_failed" }, "detail", long(100), long(101)],
    [{ kind: "failure", code: "sign_failed" }, "detail", "x", ""],
  ])("a line %j with %s has a bound", (fields, name, good, bad) => {
    const taken = (value: unknown) =>
      decodeLine(MARKER, MARKER + JSON.stringify({ ...fields, [name]: value })) !== undefined;
    expect([taken(good), taken(bad)]).toEqual([true, false]);
  });
});
