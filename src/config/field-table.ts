/** @module Every field of the configuration file as a row: path, type, default, bounds in words. */
import * as v from "valibot";

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

/** What may be left out is the schema in it; any other schema is itself. */
function bareOf(schema: AnySchema): AnySchema {
  return schema.type === "optional" && "wrapped" in schema && isSchema(schema.wrapped)
    ? schema.wrapped
    : schema;
}

export function entriesOf(schema: AnySchema): ReadonlyMap<string, AnySchema> | undefined {
  const bare = bareOf(schema);
  if (!("entries" in bare) || typeof bare.entries !== "object" || bare.entries === null) {
    return undefined;
  }
  return new Map(
    Object.entries(bare.entries).flatMap(([name, entry]) =>
      isSchema(entry) ? [[name, entry] as const] : [],
    ),
  );
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
  const isSection = entriesOf(entry) !== undefined;
  const bare = bareOf(entry);
  const metadata: Readonly<Record<string, unknown>> = v.getMetadata(bare);
  const text = (key: string): string => (typeof metadata[key] === "string" ? metadata[key] : "");
  const examples = metadata["examples"];
  const example: unknown = Array.isArray(examples) ? examples[0] : undefined;
  return {
    path,
    kind: isSection ? "section" : "value",
    required: bare === entry,
    defaultValue: isSection ? undefined : v.getDefault(entry),
    description: text("description"),
    expected: text("x-expected"),
    example: typeof example === "string" ? example : undefined,
    shown: metadata["x-shown"] === true,
  };
}
