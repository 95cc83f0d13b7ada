/** @module What the provider and its helper process say to each other: one request on stdin, marked lines on stdout. */
import * as v from "valibot";
import { parseJson } from "../base/parse-json.ts";
import { HELPER_FAILURES, HELPER_STAGES } from "./errors.ts";

/** The largest request that a helper reads: a chain, a CA bundle and a login body fit many times. */
export const MAX_REQUEST_BYTES = 4 * 1024 * 1024;

const MAX_CERTIFICATES = 512;
const bytes = v.pipe(
  v.string(),
  v.maxLength(2 * 1024 * 1024),
  v.base64(),
  v.transform((text): Uint8Array => new Uint8Array(Buffer.from(text, "base64"))),
);
const certificates = v.pipe(v.array(bytes), v.minLength(1), v.maxLength(MAX_CERTIFICATES));
const label = v.pipe(v.string(), v.minLength(1), v.maxLength(255));
const header = v.strictTuple([
  v.pipe(v.string(), v.regex(/^[A-Za-z0-9-]{1,64}$/)),
  v.pipe(v.string(), v.maxLength(16_384), v.regex(/^[\t\x20-\x7e\x80-\xff]*$/)),
]);
const headers = v.pipe(v.array(header), v.maxLength(128));

const exchangeSchema = v.strictObject({
  host: v.pipe(v.string(), v.minLength(1), v.maxLength(255)),
  port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
  serverName: v.pipe(v.string(), v.minLength(1), v.maxLength(255)),
  ca: certificates,
  method: v.picklist(["GET", "POST", "PATCH"]),
  path: v.pipe(v.string(), v.regex(/^\/[\x21-\x7e]*$/), v.maxLength(4096)),
  headers,
  body: bytes,
  maxBytes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1024 * 1024)),
});

const tokenSchema = v.strictObject({
  modulePath: v.pipe(v.string(), v.startsWith("/"), v.maxLength(4096)),
  tokenLabel: label,
  keyLabel: label,
  maxSessions: v.pipe(v.number(), v.integer(), v.minValue(1)),
});

const login = {
  pin: v.pipe(v.string(), v.minLength(1), v.maxLength(255)),
  /** When the token says that a PIN was wrong since the last good one: the last try's outcome is not known. */
  refuseAfterFailedTry: v.boolean(),
  chain: certificates,
};

const requestSchema = v.strictObject({
  marker: v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/)),
  /** A second line of defence in the helper itself, beyond the provider's own deadline. */
  alarmSeconds: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(3600)),
  parentPid: v.pipe(v.number(), v.integer(), v.minValue(1)),
  token: tokenSchema,
  task: v.variant("kind", [
    v.strictObject({ kind: v.literal("inspect") }),
    /** Log in and prove by a signature that the key is the certificate's. */
    v.strictObject({ kind: v.literal("prove"), ...login }),
    /** As `prove`, then one HTTPS request with the certificate. */
    v.strictObject({ kind: v.literal("exchange"), ...login, exchange: exchangeSchema }),
  ]),
});

export type HelperRequest = v.InferOutput<typeof requestSchema>;
export type HelperTask = HelperRequest["task"];
export type Exchange = v.InferOutput<typeof exchangeSchema>;
export type Login = Exclude<HelperTask, { kind: "inspect" }>;
export type TokenNames = v.InferOutput<typeof tokenSchema>;

const lineSchema = v.variant("kind", [
  v.strictObject({ kind: v.literal("stage"), stage: v.picklist(HELPER_STAGES) }),
  v.strictObject({
    kind: v.literal("failure"),
    code: v.picklist(HELPER_FAILURES),
    detail: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_ ]{1,100}$/))),
  }),
  v.strictObject({ kind: v.literal("done") }),
  v.strictObject({
    kind: v.literal("answer"),
    status: v.pipe(v.number(), v.integer(), v.minValue(100), v.maxValue(599)),
    headers,
    body: bytes,
  }),
]);

export type HelperLine = v.InferOutput<typeof lineSchema>;
/** A helper's last word. */
export type HelperResult = Exclude<HelperLine, { kind: "stage" }>;

/** Bytes travel as base64; everything else as it is. */
function toJson(value: HelperRequest | HelperLine): string {
  // `this[key]` and not the second argument: a Buffer has already turned itself into something else there.
  return JSON.stringify(
    value,
    function (this: Readonly<Record<string, unknown>>, key: string, each: unknown) {
      const before = this[key];
      return before instanceof Uint8Array ? Buffer.from(before).toString("base64") : each;
    },
  );
}

export function encodeRequest(request: HelperRequest): string {
  return toJson(request);
}

export function decodeRequest(text: string): HelperRequest | undefined {
  return parse(requestSchema, text);
}

/** A line with its marker, on a line of its own whatever the module has printed before. */
export function encodeLine(marker: string, line: HelperLine): string {
  return `\n${marker}${toJson(line)}\n`;
}

/** What one line of the helper's stdout says; `undefined` for any line that is not the helper's own. */
export function decodeLine(marker: string, text: string): HelperLine | undefined {
  return text.startsWith(marker) ? parse(lineSchema, text.slice(marker.length)) : undefined;
}

function parse<T extends v.GenericSchema>(schema: T, text: string): v.InferOutput<T> | undefined {
  const result = v.safeParse(schema, parseJson(text));
  return result.success ? result.output : undefined;
}
