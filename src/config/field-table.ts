/** @module Every field of the configuration file as a row: path, type, default, bounds in words. */
import type * as v from "valibot";

export interface FieldRow {
  /** As in the file: `server.socketPath`. */
  readonly path: string;
  readonly kind: "section" | "value";
  /** Whether the section that it is in cannot do without it. */
  readonly required: boolean;
  /** As written in the file; `undefined` when there is none. */
  readonly defaultValue: unknown;
  readonly description: string;
  /** Completes "set it to …". */
  readonly expected: string;
  readonly example: string | undefined;
  /** Whether a refused value may be repeated in a message. */
  readonly shown: boolean;
}

type AnySchema = v.GenericSchema;

function isSchema(value: unknown): value is AnySchema {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "schema";
}

export function entriesOf(schema: AnySchema): ReadonlyMap<string, AnySchema> | undefined {
  const bare = unwrap(schema).schema;
  if (!("entries" in bare) || typeof bare.entries !== "object" || bare.entries === null) {
    return undefined;
  }
  return new Map(
    Object.entries(bare.entries).flatMap(([name, entry]) =>
      isSchema(entry) ? [[name, entry] as const] : [],
    ),
  );
}

interface Unwrapped {
  readonly schema: AnySchema;
  readonly required: boolean;
  readonly defaultValue: unknown;
}

function unwrap(schema: AnySchema): Unwrapped {
  if (schema.type === "optional" && "wrapped" in schema && isSchema(schema.wrapped)) {
    const fallback = "default" in schema ? schema.default : undefined;
    return {
      schema: schema.wrapped,
      required: false,
      defaultValue: typeof fallback === "function" ? fallback() : fallback,
    };
  }
  return { schema, required: true, defaultValue: undefined };
}

/** What `v.metadata` actions in the schema's pipe say, later ones winning. */
function metadataOf(schema: AnySchema): Readonly<Record<string, unknown>> {
  const pipe = "pipe" in schema && Array.isArray(schema.pipe) ? schema.pipe : [];
  const found: Record<string, unknown> = {};
  for (const item of pipe) {
    if (item !== schema && typeof item === "object" && item !== null) {
      Object.assign(found, "metadata" in item ? item.metadata : isSchema(item) ? metadataOf(item) : {});
    }
  }
  return found;
}

/** The rows below a schema in the order of the file, sections before their fields. */
export function fieldTable(schema: AnySchema, prefix = ""): readonly FieldRow[] {
  const rows: FieldRow[] = [];
  for (const [name, entry] of entriesOf(schema) ?? []) {
    const path = prefix === "" ? name : `${prefix}.${name}`;
    rows.push(rowOf(path, entry), ...fieldTable(entry, path));
  }
  return rows;
}

function rowOf(path: string, entry: AnySchema): FieldRow {
  const { schema, required, defaultValue } = unwrap(entry);
  const isSection = entriesOf(entry) !== undefined;
  const metadata = metadataOf(schema);
  const text = (key: string): string => (typeof metadata[key] === "string" ? metadata[key] : "");
  const examples = metadata["examples"];
  const example: unknown = Array.isArray(examples) ? examples[0] : undefined;
  return {
    path,
    kind: isSection ? "section" : "value",
    required,
    defaultValue: isSection ? undefined : defaultValue,
    description: text("description"),
    expected: text("x-expected"),
    example: typeof example === "string" ? example : undefined,
    shown: metadata["x-shown"] === true,
  };
}
