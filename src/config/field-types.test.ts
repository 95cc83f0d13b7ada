/** Each kind of value at its bounds: what is taken, as which value, and what is refused. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { MAX_SOCKET_PATH_BYTES } from "../base/unix-socket.ts";
import * as kinds from "./field-types.ts";

const doc = "";
const letters = (count: number): string => "a".repeat(count);
const longPath = (segments: number, last: number): string =>
  [...Array.from({ length: segments }, () => letters(127)), letters(last)].join("/");

interface Case {
  readonly schema: v.GenericSchema;
  readonly taken: readonly unknown[];
  readonly refused: readonly unknown[];
}

const CASES: Readonly<Record<string, Case>> = {
  "an absolute path": {
    schema: kinds.absolutePath(doc),
    taken: ["/a", "/a/.b/..c", `/${letters(4094)}`],
    refused: ["", "a", "/", "/a/", "//a", "/./a", "/../a", "/a\n", "/a\u2028", `/${letters(4095)}`, 1],
  },
  "a socket path": {
    schema: kinds.socketPath(doc),
    taken: [`/${letters(MAX_SOCKET_PATH_BYTES - 1)}`],
    refused: [
      `/${letters(MAX_SOCKET_PATH_BYTES)}`,
      `/${"ä".repeat((MAX_SOCKET_PATH_BYTES + 1) / 2)}`,
      "a",
      "/a\u0000",
    ],
  },
  "a duration": {
    schema: kinds.durationOr("1s", { minMs: 1000, maxMs: 60_000 }, doc),
    taken: ["1s", "60s", "1m"],
    refused: ["999ms", "60001ms", "1", "", 1000],
  },
  "a count": {
    schema: kinds.count(doc, { min: 2, max: 4 }),
    taken: [2, 4],
    refused: [1, 5, 2.5, "3", Number.NaN],
  },
  "a flag": { schema: kinds.flag(doc), taken: [true, false], refused: ["true", 1, null] },
  "a choice": { schema: kinds.oneOf(doc, ["a", "b"]), taken: ["a", "b"], refused: ["c", "A", 1] },
  "a part of the identity": {
    schema: kinds.identityText(doc),
    taken: ["a", letters(256), "a b", "ä".repeat(128)],
    refused: ["", letters(257), "ä".repeat(129), " a", "a ", "a\u0007b", "\ud800"],
  },
  "free text": {
    schema: kinds.plainText(doc, { maxBytes: 3 }),
    taken: ["", "abc", "a b"],
    refused: ["abcd", "ää", " a", "a ", "a\tb"],
  },
  "text that is required": {
    schema: kinds.plainText(doc, { maxBytes: 3, required: true }),
    taken: ["abc"],
    refused: ["", "abcd"],
  },
  "a list of texts": {
    schema: kinds.textList(doc, { maxItems: 2, maxBytes: 3 }),
    taken: [[], ["abc", "abc"]],
    refused: [["abcd"], [""], ["a\n"], ["a", "b", "c"], "a", [1]],
  },
  "a path of the API": {
    schema: kinds.apiPath(doc),
    taken: ["a", "a/b", "0_.~-", letters(128), longPath(3, 128)],
    refused: ["", "/a", "a/", "a//b", ".a", "..", "a b", letters(129), longPath(4, 1)],
  },
  "a path of the API with a prefix": {
    schema: kinds.apiPath(doc, { prefix: "auth/" }),
    taken: ["auth/a"],
    refused: ["a", "auth/", "a/auth/b"],
  },
  "a namespace": { schema: kinds.namespacePath(doc), taken: ["", "a/b"], refused: ["/a", "a/", "/"] },
  "a group": {
    schema: kinds.groupName(doc),
    taken: ["_a", "a.b-c", `${letters(32)}$`, 0, 4_294_967_294, "4294967294"],
    refused: ["", letters(33), "-a", "a b", 4_294_967_295, "4294967295", 12_345_678_901, -1, 1.5],
  },
  "a mode of the socket": {
    schema: kinds.socketMode(doc),
    taken: ["0660", "660", "0600", "600"],
    refused: ["0661", "0662", "0640", "0666", "1660", "00660", "66", "0680", 660],
  },
};

describe.each(Object.entries(CASES))("%s", (_, { schema, taken, refused }) => {
  test.each(taken.map((value) => [value]))("%j is taken", (value) => {
    expect(v.safeParse(schema, value).success).toBe(true);
  });
  test.each(refused.map((value) => [value]))("%j is refused", (value) => {
    expect(v.safeParse(schema, value).success).toBe(false);
  });
});

test.each<[string, v.GenericSchema, unknown, unknown]>([
  ["a duration in milliseconds", kinds.durationOr("1s", { minMs: 0, maxMs: 90_000 }, doc), "1m1s5ms", 61_005],
  ["a duration of nothing", kinds.durationOr("1ms", { minMs: 0, maxMs: 1 }, doc), "0s", 0],
  ["a fallback", kinds.durationOr("2s", { minMs: 0, maxMs: 9000 }, ""), undefined, 2000],
  ["a flag's fallback", kinds.flagOr(true, ""), undefined, true],
  ["a GID as text", kinds.groupName(doc), 1001, "1001"],
  ["a mode as bits", kinds.socketMode(doc), "660", 0o660],
])("%s is what a field is read as", (_, schema, written, value) => {
  expect(v.parse(schema, written)).toBe(value);
});
