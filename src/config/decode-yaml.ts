/**
 * Hostile bytes to a plain tree: UTF-8, one YAML document of the core schema, no aliases, tags or repeated keys.
 *
 * @module Bounds and syntax only; what the fields mean is the schema's. Also used for other YAML files that operators give.
 */
import { type ErrorCode, LineCounter, parseAllDocuments, visit } from "yaml";

export type DecodedYaml =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: string; readonly mend: string };

/** Texts of our own: the parser's quote the file, which may hold what must not be shown. */
const SYNTAX: Partial<Record<ErrorCode, string>> = {
  DUPLICATE_KEY: "names one field twice",
  TAB_AS_INDENT: "is indented with a tab",
  BAD_INDENT: "is indented wrongly",
  MISSING_CHAR: "lacks a character such as a closing quote or a colon",
  MULTILINE_IMPLICIT_KEY: "has a key that runs over several lines",
  BAD_ALIAS: "uses an alias",
  TAG_RESOLVE_FAILED: "uses a YAML tag",
};

/** The tree of one YAML document of at most `maxBytes` bytes, or what is wrong with it and where. */
export function decodeYaml(bytes: Uint8Array, maxBytes: number): DecodedYaml {
  if (bytes.length > maxBytes) {
    return refuse(`is larger than ${maxBytes} bytes`, "name the right file");
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return refuse("is not valid UTF-8", "save it as UTF-8");
  }
  try {
    return decodeText(text);
  } catch {
    // The parser recurses: brackets nested by the thousand end in a RangeError, which is as good a refusal as any.
    return refuse("is nested too deeply", "name the right file");
  }
}

function decodeText(text: string): DecodedYaml {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    version: "1.2",
    schema: "core",
    merge: false,
    uniqueKeys: true,
    strict: true,
    prettyErrors: false,
    logLevel: "silent",
    lineCounter: lines,
  });
  if ("empty" in documents || documents.length === 0) {
    return refuse("is empty", "write the configuration into it");
  }
  const [document, second] = documents;
  if (document === undefined || second !== undefined) {
    return refuse("holds more than one YAML document", "keep one and remove the `---` lines");
  }
  const [error] = [...document.errors, ...document.warnings];
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    return refuse(
      `is not valid YAML: line ${line}, column ${col} ${SYNTAX[error.code] ?? "breaks the syntax"}`,
      `mend line ${line}`,
    );
  }
  let hasAlias = false;
  visit(document, {
    Alias: () => {
      hasAlias = true;
      return visit.BREAK;
    },
  });
  return hasAlias
    ? refuse("uses a YAML alias", "write the value out in full")
    : { ok: true, value: document.toJS({ maxAliasCount: 0, mapAsMap: false }) };
}

function refuse(problem: string, mend: string): DecodedYaml {
  return { ok: false, problem, mend };
}
