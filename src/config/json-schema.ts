/** @module The JSON Schema of the configuration file, for editors. */
import { type JsonSchema, toJsonSchema } from "@valibot/to-json-schema";
import { configSchema } from "./schema.ts";

export function configJsonSchema(): JsonSchema {
  const schema = toJsonSchema(configSchema, {
    target: "draft-2020-12",
    typeMode: "input",
    // Checks without a counterpart, such as durations and relations.
    errorMode: "ignore",
  });
  return { title: "bao-kms-provider configuration", ...withoutOwnKeywords(schema) };
}

/** Drops the `x-` keywords that only our own messages and pages use. */
function withoutOwnKeywords(schema: JsonSchema): JsonSchema {
  return JSON.parse(JSON.stringify(schema), (key, value: unknown) =>
    key.startsWith("x-") ? undefined : value,
  );
}
