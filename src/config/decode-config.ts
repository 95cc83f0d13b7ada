/** @module The bytes of a configuration file to a checked ProviderConfig. */
import * as v from "valibot";
import { isJsonObject, type JsonObject } from "../base/parse-json.ts";
import { decodeYaml } from "./decode-yaml.ts";
import { ConfigError } from "./errors.ts";
import { problemsOf } from "./problem.ts";
import { configSchema, type ProviderConfig } from "./schema.ts";

export const MAX_CONFIG_BYTES = 64 * 1024;

export interface ConfigOverride {
  readonly path: readonly [section: string, field: string];
  readonly value: string;
}

/**
 * Checks everything that the bytes alone can tell. `source` is the file's name in messages; `tree` is the file as it was read,
 * overrides included: which fields it has tells where each value came from.
 * @throws ConfigError with every problem found.
 */
export function decodeConfig(
  bytes: Uint8Array,
  source: string,
  overrides: readonly ConfigOverride[] = [],
): { readonly config: ProviderConfig; readonly tree: JsonObject } {
  const decoded = decodeYaml(bytes, MAX_CONFIG_BYTES);
  if (!decoded.ok) {
    throw new ConfigError("config_malformed", source, [{ path: "", ...decoded }]);
  }
  if (!isJsonObject(decoded.value)) {
    throw new ConfigError("config_malformed", source, [
      { path: "", problem: "is not a set of fields", fix: "begin it with configVersion: v1alpha1" },
    ]);
  }
  const tree = overrides.reduce(withOverride, decoded.value);
  const result = v.safeParse(configSchema, tree);
  if (!result.success) {
    throw new ConfigError("config_refused", source, problemsOf(tree, result.issues));
  }
  return { config: result.output, tree };
}

function withOverride(tree: JsonObject, { path: [section, field], value }: ConfigOverride): JsonObject {
  const fields = tree[section];
  // A section that is not a section is left for the schema to refuse.
  return fields === undefined || isJsonObject(fields)
    ? { ...tree, [section]: { ...fields, [field]: value } }
    : tree;
}
