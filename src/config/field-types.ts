/** @module The kinds of value that a configuration field can have. */
import * as v from "valibot";
import { formatDuration, parseDurationMs } from "../base/duration.ts";
import { MAX_SOCKET_PATH_BYTES } from "../base/unix-socket.ts";

/** What every field says about itself; the messages and the reference page are made from it. */
export interface FieldDoc {
  /** One sentence for the reference page. */
  readonly description: string;
  /** A value that would be accepted, as it stands in the file. */
  readonly example?: string;
}

/** What a field's kind says about all of its fields, read back by field-table.ts. */
export interface KindDoc {
  /** Completes "set it to …". */
  readonly expected: string;
  readonly unit?: string;
  /** Whether a refused value may be repeated in the message. */
  readonly shown: boolean;
}

export function about(doc: FieldDoc, kind: KindDoc) {
  return {
    description: doc.description,
    ...(doc.example === undefined ? {} : { examples: [doc.example] }),
    "x-expected": kind.expected,
    "x-shown": kind.shown,
    ...(kind.unit === undefined ? {} : { "x-unit": kind.unit }),
  };
}

const MAX_PATH_BYTES = 4095;
const CONTROL = /[\p{Cc}\u2028\u2029]/u;

const hasNoControl = (text: string): boolean => !CONTROL.test(text);
const byteLength = (text: string): number => Buffer.byteLength(text, "utf8");

function isNormalAbsolutePath(text: string): boolean {
  return (
    text.startsWith("/") &&
    !text.endsWith("/") &&
    text
      .slice(1)
      .split("/")
      .every((part) => part !== "" && part !== "." && part !== "..")
  );
}

export function absolutePath(doc: FieldDoc) {
  return v.pipe(
    v.string(),
    v.metadata(about(doc, { expected: "the absolute path of a file", shown: false })),
    v.check(hasNoControl, "contains a control character"),
    v.check((text) => byteLength(text) <= MAX_PATH_BYTES, `is longer than ${MAX_PATH_BYTES} bytes`),
    v.check(isNormalAbsolutePath, "is not an absolute path without empty, `.` or `..` parts"),
  );
}

export function socketPath(doc: FieldDoc) {
  return v.pipe(
    v.string(),
    v.metadata(
      about(doc, {
        expected: `the absolute path of a Unix socket, at most ${MAX_SOCKET_PATH_BYTES} bytes`,
        shown: false,
      }),
    ),
    v.check(hasNoControl, "contains a control character"),
    v.check(
      (text) => byteLength(text) <= MAX_SOCKET_PATH_BYTES,
      `is longer than the ${MAX_SOCKET_PATH_BYTES} bytes of a Unix socket's name`,
    ),
    v.check(isNormalAbsolutePath, "is not an absolute path without empty, `.` or `..` parts"),
  );
}

/** A Go duration; the parsed value is a number of milliseconds within the bounds given. */
export function duration(doc: FieldDoc, bounds: { readonly minMs: number; readonly maxMs: number }) {
  const range = `${formatDuration(bounds.minMs)} to ${formatDuration(bounds.maxMs)}`;
  return v.pipe(
    v.string(),
    v.metadata(
      about(doc, {
        expected: `a duration of ${range}, such as 500ms, 2s, 5m or 1h`,
        unit: "duration",
        shown: true,
      }),
    ),
    v.check((text) => parseDurationMs(text) !== undefined, "is not a duration"),
    v.check((text) => {
      const ms = parseDurationMs(text);
      return ms === undefined || (ms >= bounds.minMs && ms <= bounds.maxMs);
    }, `is outside ${range}`),
    v.transform((text) => parseDurationMs(text) ?? 0),
  );
}

export function count(doc: FieldDoc, bounds: { readonly min: number; readonly max: number }) {
  return v.pipe(
    v.number(),
    v.metadata(about(doc, { expected: `a whole number from ${bounds.min} to ${bounds.max}`, shown: true })),
    v.integer("is not a whole number"),
    v.minValue(bounds.min, `is below ${bounds.min}`),
    v.maxValue(bounds.max, `is above ${bounds.max}`),
  );
}

export function flag(doc: FieldDoc) {
  return v.pipe(v.boolean(), v.metadata(about(doc, { expected: "true or false", shown: true })));
}

export function oneOf<const Names extends readonly [string, ...string[]]>(doc: FieldDoc, names: Names) {
  return v.pipe(
    v.picklist(names),
    v.metadata(
      about(doc, { expected: names.length === 1 ? names[0] : `one of ${names.join(", ")}`, shown: true }),
    ),
  );
}

/** A part of the control plane's identity: hashed into every key_id, so that a stray blank would make another key. */
export function identityText(doc: FieldDoc) {
  return v.pipe(
    v.string(),
    v.metadata(
      about(doc, {
        expected: "a name of 1 to 256 bytes without surrounding blanks or control characters",
        shown: false,
      }),
    ),
    v.nonEmpty("is empty"),
    v.check((text) => byteLength(text) <= 256, "is longer than 256 bytes"),
    v.check(hasNoControl, "contains a control character"),
    v.check((text) => text.trim() === text, "begins or ends with a blank"),
    v.check((text) => text.isWellFormed(), "is not valid Unicode"),
  );
}

/** Free text that is compared or sent as it is, possibly empty. */
export function plainText(
  doc: FieldDoc,
  options: { readonly maxBytes: number; readonly required?: boolean },
) {
  return v.pipe(
    v.string(),
    v.metadata(
      about(doc, {
        expected: `text of at most ${options.maxBytes} bytes without control characters`,
        shown: false,
      }),
    ),
    v.check((text) => options.required !== true || text !== "", "is empty"),
    v.check((text) => byteLength(text) <= options.maxBytes, `is longer than ${options.maxBytes} bytes`),
    v.check(hasNoControl, "contains a control character"),
    v.check((text) => text.trim() === text, "begins or ends with a blank"),
  );
}

/** A list of texts, each checked as {@link plainText}. */
export function textList(doc: FieldDoc, options: { readonly maxItems: number; readonly maxBytes: number }) {
  return v.pipe(
    v.array(
      v.pipe(
        v.string(),
        v.nonEmpty("is empty"),
        v.check((text) => byteLength(text) <= options.maxBytes, `is longer than ${options.maxBytes} bytes`),
        v.check(hasNoControl, "contains a control character"),
      ),
    ),
    v.metadata(about(doc, { expected: `a list of at most ${options.maxItems} texts`, shown: false })),
    v.maxLength(options.maxItems, `has more than ${options.maxItems} entries`),
  );
}

const PATH_SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9_.~-]{0,127}$/;

const isApiPath = (text: string): boolean =>
  text.length <= 512 && text.split("/").every((segment) => PATH_SEGMENT.test(segment));

/** A path of OpenBao's API, such as a mount: relative, without slashes at its ends, safe to put into a URL as it is. */
export function apiPath(doc: FieldDoc, prefix = "") {
  return v.pipe(
    v.string(),
    v.metadata(
      about(doc, {
        expected: `a relative path without slashes at its ends${prefix === "" ? "" : `, beginning with ${prefix}`}`,
        shown: false,
      }),
    ),
    v.check(isApiPath, "is not a path of letters, digits, `_`, `.`, `-` and inner slashes"),
    v.check((text) => text.startsWith(prefix), `does not begin with ${prefix}`),
  );
}

/** A namespace: like a mount path, or empty for none. */
export function namespacePath(doc: FieldDoc) {
  return v.pipe(
    v.string(),
    v.metadata(
      about(doc, { expected: "a relative path without slashes at its ends, or empty", shown: false }),
    ),
    v.check(
      (text) => text === "" || isApiPath(text),
      "is not a path of letters, digits, `_`, `.`, `-` and inner slashes",
    ),
  );
}

const GROUP = /^(?:[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|\d{1,10})$/;
/** (gid_t)-1 is chown's "leave it", so it and everything above cannot be a group. */
const MAX_GID = 4_294_967_294;

export function groupName(doc: FieldDoc) {
  return v.pipe(
    v.union([v.string(), v.number()]),
    v.metadata(about(doc, { expected: "the name of a group or its decimal GID", shown: false })),
    v.transform(String),
    v.check(
      (text) => GROUP.test(text) && (!/^\d+$/.test(text) || Number(text) <= MAX_GID),
      "is neither a group name nor a decimal GID",
    ),
  );
}

/** The socket's mode as octal text. Connecting needs write permission, so only these two make sense and are safe. */
export function socketMode(doc: FieldDoc) {
  return v.pipe(
    v.string(),
    v.metadata(
      about(doc, {
        expected: '"0660" or "0600", in quotes because YAML reads 0660 without them as another number',
        shown: true,
      }),
    ),
    v.check((text) => /^0?[0-7]{3}$/.test(text), "is not an octal mode"),
    v.check(
      (text) => !/^0?[0-7]{3}$/.test(text) || [0o660, 0o600].includes(Number.parseInt(text, 8)),
      "gives more access than owner and group need, or too little to connect",
    ),
    v.transform((text) => Number.parseInt(text, 8)),
  );
}
