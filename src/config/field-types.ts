/** @module The kinds of value that a configuration field can have. */
import * as v from "valibot";
import { formatDuration, parseDurationMs } from "../base/duration.ts";
import { MAX_SOCKET_PATH_BYTES } from "../base/unix-socket.ts";

export interface Example {
  /** A value that would be accepted, as it stands in the file. */
  readonly example?: string;
}

/** What is said of a field, read back by field-table.ts; the messages and the reference page are made from it. */
interface Kind extends Example {
  readonly expected: string;
  readonly unit?: string;
  /** Whether a refused value may be repeated in a message. */
  readonly shown?: boolean;
}

export function about<Input>(description: string, { example, expected, shown = false, unit }: Kind) {
  return v.metadata<Input, Readonly<Record<string, unknown>>>({
    description,
    ...(example === undefined ? {} : { examples: [example] }),
    "x-expected": expected,
    "x-shown": shown,
    ...(unit === undefined ? {} : { "x-unit": unit }),
  });
}

const MAX_PATH_BYTES = 4095;
const CONTROL = /[\p{Cc}\u2028\u2029]/u;

const byteLength = (text: string): number => Buffer.byteLength(text, "utf8");

/** A text, before the checks of its kind. */
export function textKind(description: string, expected: string, kind: Omit<Kind, "expected"> = {}) {
  return v.pipe(v.string(), about(description, { expected, ...kind }));
}

const noControl = v.check((value: string) => !CONTROL.test(value), "contains a control character");
const trimmed = v.check((value: string) => value.trim() === value, "begins or ends with a blank");
const atMost = (maxBytes: number, message = `is longer than ${maxBytes} bytes`) =>
  v.check((value: string) => byteLength(value) <= maxBytes, message);

const normalPath = v.check(
  (value: string) =>
    value.startsWith("/") &&
    value
      .slice(1)
      .split("/")
      .every((part) => part !== "" && part !== "." && part !== ".."),
  "is not an absolute path without empty, `.` or `..` parts",
);

export function absolutePath(description: string, example: Example = {}) {
  return v.pipe(
    textKind(description, "the absolute path of a file", example),
    noControl,
    atMost(MAX_PATH_BYTES),
    normalPath,
  );
}

export function socketPath(description: string, example: Example = {}) {
  return v.pipe(
    textKind(
      description,
      `the absolute path of a Unix socket, at most ${MAX_SOCKET_PATH_BYTES} bytes`,
      example,
    ),
    noControl,
    atMost(
      MAX_SOCKET_PATH_BYTES,
      `is longer than the ${MAX_SOCKET_PATH_BYTES} bytes of a Unix socket's name`,
    ),
    normalPath,
  );
}

/** A Go duration that may be left out; the parsed value is a number of milliseconds within the bounds given. */
export function durationOr(
  fallback: string,
  bounds: { readonly minMs: number; readonly maxMs: number },
  description: string,
) {
  const range = `${formatDuration(bounds.minMs)} to ${formatDuration(bounds.maxMs)}`;
  const kind = v.pipe(
    v.string(),
    about(description, {
      expected: `a duration of ${range}, such as 500ms, 2s, 5m or 1h`,
      unit: "duration",
      shown: true,
    }),
    v.check((value) => parseDurationMs(value) !== undefined, "is not a duration"),
    v.check((value) => {
      const ms = parseDurationMs(value);
      return ms === undefined || (ms >= bounds.minMs && ms <= bounds.maxMs);
    }, `is outside ${range}`),
    v.transform((value) => parseDurationMs(value) ?? 0),
  );
  return v.optional(kind, fallback);
}

export function count(description: string, bounds: { readonly min: number; readonly max: number }) {
  return v.pipe(
    v.number(),
    about(description, { expected: `a whole number from ${bounds.min} to ${bounds.max}`, shown: true }),
    v.integer("is not a whole number"),
    v.minValue(bounds.min, `is below ${bounds.min}`),
    v.maxValue(bounds.max, `is above ${bounds.max}`),
  );
}

export function flag(description: string) {
  return v.pipe(v.boolean(), about(description, { expected: "true or false", shown: true }));
}

export function flagOr(fallback: boolean, description: string) {
  return v.optional(flag(description), fallback);
}

export function oneOf<const Names extends readonly [string, ...string[]]>(
  description: string,
  names: Names,
  example: Example = {},
) {
  const expected = names.length === 1 ? names[0] : `one of ${names.join(", ")}`;
  return v.pipe(v.picklist(names), about(description, { expected, shown: true, ...example }));
}

/** A part of the control plane's identity: hashed into every key_id, so that a stray blank would make another key. */
export function identityText(description: string, example: Example = {}) {
  return v.pipe(
    textKind(
      description,
      "a name of 1 to 256 bytes without surrounding blanks or control characters",
      example,
    ),
    v.nonEmpty("is empty"),
    atMost(256),
    noControl,
    trimmed,
    v.check((value) => value.isWellFormed(), "is not valid Unicode"),
  );
}

/** Free text that is compared or sent as it is, possibly empty. */
export function plainText(
  description: string,
  {
    maxBytes,
    required = false,
    ...example
  }: Example & { readonly maxBytes: number; readonly required?: boolean },
) {
  return v.pipe(
    textKind(description, `text of at most ${maxBytes} bytes without control characters`, example),
    v.check((value) => !required || value !== "", "is empty"),
    atMost(maxBytes),
    noControl,
    trimmed,
  );
}

export function textList(
  description: string,
  { maxItems, maxBytes }: { readonly maxItems: number; readonly maxBytes: number },
) {
  return v.pipe(
    v.array(v.pipe(v.string(), v.nonEmpty("is empty"), atMost(maxBytes), noControl)),
    about(description, { expected: `a list of at most ${maxItems} texts` }),
    v.maxLength(maxItems, `has more than ${maxItems} entries`),
  );
}

const PATH_SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9_.~-]{0,127}$/;

const isApiPath = (value: string): boolean =>
  value.length <= 512 && value.split("/").every((segment) => PATH_SEGMENT.test(segment));
const NO_API_PATH = "is not a path of letters, digits, `_`, `.`, `-` and inner slashes";

/** A path of OpenBao's API, such as a mount: relative, without slashes at its ends, safe to put into a URL as it is. */
export function apiPath(
  description: string,
  { prefix = "", ...example }: Example & { readonly prefix?: string } = {},
) {
  const expected = "a relative path without slashes at its ends";
  return v.pipe(
    textKind(description, prefix === "" ? expected : `${expected}, beginning with ${prefix}`, example),
    v.check(isApiPath, NO_API_PATH),
    v.check((value) => value.startsWith(prefix), `does not begin with ${prefix}`),
  );
}

export function authMount(method: string, example: string) {
  return apiPath(`The mount of the ${method} auth method, with its \`auth/\` prefix.`, {
    example,
    prefix: "auth/",
  });
}

/** A namespace: like a mount path, or empty for none. */
export function namespacePath(description: string, example: Example = {}) {
  return v.pipe(
    textKind(description, "a relative path without slashes at its ends, or empty", example),
    v.check((value) => value === "" || isApiPath(value), NO_API_PATH),
  );
}

const GROUP = /^(?:[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|\d{1,10})$/;
/** (gid_t)-1 is chown's "leave it", so it and everything above cannot be a group. */
const MAX_GID = 4_294_967_294;

export function groupName(description: string, example: Example = {}) {
  return v.pipe(
    v.union([v.string(), v.number()]),
    about(description, { expected: "the name of a group or its decimal GID", ...example }),
    v.transform(String),
    v.check(
      (name) => GROUP.test(name) && (!/^\d+$/.test(name) || Number(name) <= MAX_GID),
      "is neither a group name nor a decimal GID",
    ),
  );
}

const MODE = /^0?[0-7]{3}$/;

/** The socket's mode as octal text. Connecting needs write permission, so only these two make sense and are safe. */
export function socketMode(description: string) {
  return v.pipe(
    textKind(
      description,
      '"0660" or "0600", in quotes because YAML reads 0660 without them as another number',
      { shown: true },
    ),
    v.check((mode) => MODE.test(mode), "is not an octal mode"),
    v.check(
      (mode) => !MODE.test(mode) || [0o660, 0o600].includes(Number.parseInt(mode, 8)),
      "gives more access than owner and group need, or too little to connect",
    ),
    v.transform((mode) => Number.parseInt(mode, 8)),
  );
}

/** What `v.rawTransform` gives on a section. */
interface SectionContext<Section> {
  readonly dataset: { readonly value: Section };
  readonly addIssue: (info: { readonly message: string; readonly path: [v.ObjectPathItem] }) => void;
  readonly NEVER: never;
}

/** Refuses a field because of what another field of its section says. */
export function refuseField<Section extends Readonly<Record<string, unknown>>>(
  { dataset: { value }, addIssue, NEVER }: SectionContext<Section>,
  key: keyof Section & string,
  message = "is missing",
): never {
  addIssue({
    message,
    path: [{ type: "object", origin: "value", input: { ...value }, key, value: value[key] }],
  });
  return NEVER;
}
