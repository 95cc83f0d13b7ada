/** @module Bytes to a tree with line numbers, as kube-apiserver reads them: JSON after `{`, else YAML 1.1 without aliases and tags. */
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  Scalar,
  type YAMLMap,
} from "yaml";
import { parseJson } from "../../base/parse-json.ts";
import { plainScalar } from "./plain-scalar.ts";
import { refuse } from "./refusal.ts";

export type Tree = { readonly line: number } & (
  | { readonly kind: "map"; readonly fields: ReadonlyMap<string, Field> }
  | { readonly kind: "list"; readonly items: readonly Tree[] }
  | { readonly kind: "string"; readonly value: string }
  /** NaN when JSON's number is not written in digits. */
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "bool" | "null" }
);

interface Field {
  /** Of the field's name. */
  readonly line: number;
  readonly value: Tree;
}

export const MAX_ENCRYPTION_CONFIG_BYTES = 1024 * 1024;

/** Unicode white space, which Go trims before it looks for the brace. */
const JSON_START = /^[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*\{/u;
const UNREADABLE = [
  /** Not printable for kube-apiserver's reader, or a line break for it and not for ours. */
  [
    "character",
    /[^\t\n\r\u0020-\u007e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]|\r(?!\n)/u,
  ],
  ["directive", /^%/m],
  ["tab", /^[^#\n]*\t/m],
] as const;

/** @throws Refused */
export function fileTree(bytes: Uint8Array): Tree {
  if (bytes.length > MAX_ENCRYPTION_CONFIG_BYTES) {
    refuse("size", {}, String(MAX_ENCRYPTION_CONFIG_BYTES));
  }
  const text = utf8(bytes);
  const isJson = JSON_START.test(text);
  try {
    if (isJson && parseJson(text) === undefined) {
      refuse("json_syntax");
    }
    const yaml = text.startsWith("\ufeff") ? text.slice(1) : text;
    if (!isJson) {
      checkCharacters(yaml);
    }
    return documentTree(yaml, isJson);
  } catch (error) {
    if (error instanceof RangeError) {
      refuse("nesting");
    }
    throw error;
  }
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse("encoding");
  }
}

function checkCharacters(text: string): void {
  for (const [rule, pattern] of UNREADABLE) {
    const found = pattern.exec(text);
    if (found !== null) {
      refuse(rule, { line: text.slice(0, found.index).split("\n").length });
    }
  }
}

function documentTree(text: string, isJson: boolean): Tree {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, {
    schema: "failsafe",
    merge: false,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: "silent",
    lineCounter: lines,
  });
  const documents: readonly Document[] = "empty" in parsed ? [] : parsed;
  const lineOf = (node: { readonly range?: Node["range"] }): number =>
    lines.linePos(node.range?.[0] ?? 0).line;
  const [document, second] = documents;
  const [error] = document?.errors ?? [];
  if (error !== undefined) {
    const { line } = lines.linePos(error.pos[0]);
    // Brackets nested by the thousand end here, or in a RangeError of a function that recurses.
    if (error.code === "RESOURCE_EXHAUSTION") {
      refuse("nesting");
    }
    if (error.code === "BAD_ALIAS") {
      refuse("alias", { line });
    }
    refuse("syntax", { line }, "is not valid YAML");
  }
  if (second !== undefined) {
    refuse("documents", { line: lineOf(second) });
  }
  return nodeTree(document?.contents ?? null, { lineOf, isJson, text, inFlow: false });
}

interface Reading {
  readonly text: string;
  readonly lineOf: (node: Node) => number;
  readonly isJson: boolean;
  /** Within brackets or braces. */
  readonly inFlow: boolean;
}

function nodeTree(node: unknown, around: Reading): Tree {
  const reading = isCollection(node) && node.flow === true ? { ...around, inFlow: true } : around;
  if (isAlias(node)) {
    refuse("alias", { line: reading.lineOf(node) });
  }
  if (!isMap(node) && !isSeq(node) && !isScalar(node)) {
    return { kind: "null", line: 1 };
  }
  const line = reading.lineOf(node);
  if (node.tag !== undefined) {
    refuse("tag", { line });
  }
  if (isMap(node)) {
    return { kind: "map", line, fields: fieldsOf(node, line, reading) };
  }
  if (isSeq(node)) {
    return { kind: "list", line, items: node.items.map((item) => nodeTree(item, reading)) };
  }
  return scalarTree(node, line, reading);
}

function fieldsOf(map: YAMLMap, mapLine: number, reading: Reading): ReadonlyMap<string, Field> {
  const fields = new Map<string, Field>();
  for (const { key, value } of map.items) {
    if (isAlias(key)) {
      refuse("alias", { line: reading.lineOf(key) });
    }
    if (!isScalar(key)) {
      const line = isMap(key) || isSeq(key) ? reading.lineOf(key) : mapLine;
      return refuse("key_not_scalar", { line });
    }
    const name = String(key.value);
    const line = reading.lineOf(key);
    checkScalar(key, line, reading);
    if (key.type === Scalar.PLAIN && COLON_THEN_BRACKET.test(after(key, reading.text))) {
      refuseOurs(line);
    }
    if (key.tag !== undefined) {
      refuse("tag", { line });
    }
    if (fields.has(name)) {
      refuse("duplicate_field", { line });
    }
    fields.set(name, { line, value: nodeTree(value, reading) });
  }
  return fields;
}

/** YAML 1.2, which our parser reads, has these; kube-apiserver's YAML 1.1 reader refuses them. JSON has the escapes too. */
function checkScalar(node: Scalar, line: number, { text, isJson, inFlow }: Reading): void {
  const [start, end] = node.range ?? [0, 0];
  const source = text.slice(start, end);
  if (
    !isJson &&
    ((node.type === Scalar.QUOTE_DOUBLE && NEWER_ESCAPE.test(source)) ||
      (node.type === Scalar.PLAIN && (NEWER_START.test(source) || (inFlow && source.includes("?")))))
  ) {
    refuseOurs(line);
  }
}

/** In flow collections only, where a question mark ends plain text; but it is no loss elsewhere. */
const NEWER_START = /^[:?]/;
/** An escaped slash or surrogate. */
const NEWER_ESCAPE = /^(?:[^\\]|\\.)*?\\(?:\/|u[dD][89a-fA-F]|U0000[dD][89a-fA-F])/s;
const COLON_THEN_BRACKET = /^:[[\]{},]/;
const after = (node: Scalar, text: string): string => text.slice(node.range?.[1] ?? text.length).slice(0, 2);

function refuseOurs(line: number): never {
  return refuse(
    "syntax",
    { line },
    "has YAML that kube-apiserver's older reader refuses",
    "write a space after each colon, text without escapes, and quotes around text with a question mark",
  );
}

function scalarTree(node: Scalar, line: number, reading: Reading): Tree {
  // Go puts U+FFFD for a surrogate without its other half.
  const value = String(node.value).toWellFormed();
  const { isJson } = reading;
  checkScalar(node, line, reading);
  if (node.type !== Scalar.PLAIN) {
    return { kind: "string", line, value };
  }
  const plain = plainScalar(value);
  switch (plain.kind) {
    case "string":
      return { kind: "string", line, value };
    case "number":
      // Go's JSON decoder takes an integer field only from digits; its YAML reader has made digits of 1e3 before.
      return { kind: "number", line, value: isJson && !/^-?\d+$/.test(value) ? Number.NaN : plain.value };
    default:
      return { kind: plain.kind, line };
  }
}
