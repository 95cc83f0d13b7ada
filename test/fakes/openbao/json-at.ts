/**
 * @module Reading replies in tests. What is absent or of another kind comes back empty, so that the expectation after it shows
 * what is missing.
 */
import { isJsonObject, type JsonObject } from "./reply.ts";

export function objectAt(body: JsonObject, ...path: readonly string[]): JsonObject {
  let at: JsonObject = body;
  for (const name of path) {
    const value = at[name];
    at = value !== undefined && isJsonObject(value) ? value : {};
  }
  return at;
}

export function textAt(body: JsonObject, ...path: readonly string[]): string {
  const value = objectAt(body, ...path.slice(0, -1))[path.at(-1) ?? ""];
  return typeof value === "string" ? value : "";
}
