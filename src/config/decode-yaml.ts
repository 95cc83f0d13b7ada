/** @module Hostile bytes to a plain tree: UTF-8, one YAML document, no aliases, tags or repeated keys. */
import { type Document, type ErrorCode, isScalar, LineCounter, parseAllDocuments, visit } from "yaml";

type DecodedYaml =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: string; readonly fix: string };

/** The parser's own texts quote the file, which may contain a secret. */
const SYNTAX: Partial<Record<ErrorCode, string>> = {
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
    // The parser recurses: brackets nested by the thousand end in a RangeError.
    return refuse("is nested too deeply", "name the right file");
  }
}

function decodeText(text: string): DecodedYaml {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    version: "1.2",
    schema: "core",
    merge: false,
    // The parser compares each key with all others of its mapping; treeProblem does it in linear time.
    uniqueKeys: false,
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
    return refuse("has more than one YAML document", "keep one and remove the `---` lines");
  }
  const [error] = [...document.errors, ...document.warnings];
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0]);
    return refuse(
      `is not valid YAML: line ${line}, column ${col} ${SYNTAX[error.code] ?? "breaks the syntax"}`,
      `correct line ${line}`,
    );
  }
  return (
    treeProblem(document, lines) ?? {
      ok: true,
      value: document.toJS({ maxAliasCount: 0, mapAsMap: false }),
    }
  );
}

/** The first alias, key that is not a scalar, or key that its mapping has twice. */
function treeProblem(document: Document, lines: LineCounter): DecodedYaml | undefined {
  let found: DecodedYaml | undefined;
  const stop = (offset: number | undefined, problem: string, fix: string): symbol => {
    found = refuse(`${problem} in line ${lines.linePos(offset ?? 0).line}`, fix);
    return visit.BREAK;
  };
  visit(document, {
    Alias: (_, alias) => stop(alias.range?.[0], "uses a YAML alias", "write the value out in full"),
    Map: (_, map) => {
      const names = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) {
          return stop(
            map.range?.[0],
            "has a field whose name is not a text",
            "check braces and commas there",
          );
        }
        const name = String(key.value);
        if (names.has(name)) {
          return stop(key.range?.[0], "names one field twice", "keep one of the two");
        }
        names.add(name);
      }
      return undefined;
    },
  });
  return found;
}

function refuse(problem: string, fix: string): DecodedYaml {
  return { ok: false, problem, fix };
}
