/** @module From a path, the environment and flags to the configuration that is in force. */
import { readSafeFile } from "../base/safe-file.ts";
import { type ConfigOverride, decodeConfig, MAX_CONFIG_BYTES } from "./decode-config.ts";
import { ConfigError } from "./errors.ts";
import { type FieldRow, fieldTable } from "./field-table.ts";
import { configSchema, type ProviderConfig } from "./schema.ts";

const ENVIRONMENT_PREFIX = "BAO_KMS_PROVIDER_";
export const CONFIG_PATH_VARIABLE = "BAO_KMS_PROVIDER_CONFIG";

/** Everything that the environment or a flag may override; secrets are not among it and never will be. */
export const OVERRIDES = [
  { path: ["logging", "level"], variable: "BAO_KMS_PROVIDER_LOG_LEVEL", flag: "logLevel" },
  {
    path: ["server", "metricsAddress"],
    variable: "BAO_KMS_PROVIDER_SERVER_METRICS_ADDRESS",
    flag: "metricsAddress",
  },
  {
    path: ["server", "healthAddress"],
    variable: "BAO_KMS_PROVIDER_SERVER_HEALTH_ADDRESS",
    flag: "healthAddress",
  },
] as const satisfies readonly (Pick<ConfigOverride, "path"> & Record<"variable" | "flag", string>)[];

type Environment = Readonly<Record<string, string | undefined>>;
type Origin = "default" | "file" | "environment" | "flag";

interface LoadRequest {
  /** `--config`; without it the environment names the file. */
  readonly path?: string | undefined;
  readonly flags?: { readonly [Flag in (typeof OVERRIDES)[number]["flag"]]?: string | undefined } | undefined;
  readonly environment: Environment;
  readonly serviceUid: number;
}

export interface LoadedConfig {
  readonly config: ProviderConfig;
  readonly path: string;
  readonly fields: readonly ResolvedField[];
  /** Whole sentences for the log or stderr; none of them stops the start. */
  readonly warnings: readonly string[];
}

interface ResolvedField {
  readonly path: string;
  readonly value: unknown;
  readonly origin: Origin;
}

/**
 * Reads, checks and resolves the configuration.
 * @throws SafeFileError when the file is not there or not safe to read, ConfigError when it is refused.
 */
export async function loadConfig(request: LoadRequest): Promise<LoadedConfig> {
  const path = request.path ?? nonEmpty(request.environment[CONFIG_PATH_VARIABLE]);
  if (path === undefined) {
    throw new ConfigError("config_path_missing", "the configuration file", [
      { path: "", problem: "is not named", fix: `give --config FILE or set ${CONFIG_PATH_VARIABLE}` },
    ]);
  }
  const { bytes } = await readSafeFile(path, {
    what: "the configuration file",
    field: "--config",
    maxBytes: MAX_CONFIG_BYTES,
    secret: false,
    serviceUid: request.serviceUid,
    errorClass: "config_invalid",
  });
  const overrides = OVERRIDES.flatMap(({ path: field, variable, flag }) => {
    const fromFlag = request.flags?.[flag];
    const value = fromFlag ?? nonEmpty(request.environment[variable]);
    const origin: Origin = fromFlag === undefined ? "environment" : "flag";
    return value === undefined ? [] : [{ path: field, value, origin }];
  });
  const { config, tree } = decodeConfig(bytes, path, overrides);
  const originOf = (field: string): Origin =>
    overrides.find((override) => override.path.join(".") === field)?.origin ?? "file";
  return {
    config,
    path,
    fields: fieldTable(configSchema).flatMap((row) => resolveField(row, tree, originOf)),
    warnings: [...unknownVariables(request.environment), ...openAddresses(config)],
  };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

/** A field's value if it is in force: given, or a default in a section that is there or can be left out. */
function resolveField(
  row: FieldRow,
  tree: unknown,
  originOf: (path: string) => Origin,
): readonly ResolvedField[] {
  if (row.kind === "section") {
    return [];
  }
  const names = row.path.split(".");
  let at: unknown = tree;
  for (const [depth, name] of names.entries()) {
    if (typeof at !== "object" || at === null) {
      return [];
    }
    const next: unknown = Object.getOwnPropertyDescriptor(at, name)?.value;
    if (next === undefined) {
      const isOptionalChoice = depth > 0 && depth < names.length - 1 && names[0] === "auth";
      return row.defaultValue === undefined || isOptionalChoice
        ? []
        : [{ path: row.path, value: row.defaultValue, origin: "default" }];
    }
    at = next;
  }
  return [{ path: row.path, value: at, origin: originOf(row.path) }];
}

function unknownVariables(environment: Environment): readonly string[] {
  const known = new Set<string>([CONFIG_PATH_VARIABLE, ...OVERRIDES.map(({ variable }) => variable)]);
  return Object.keys(environment)
    .filter((name) => name.startsWith(ENVIRONMENT_PREFIX) && !known.has(name))
    .map((name) => `the environment variable ${name} is not known and changes nothing`);
}

function openAddresses(config: ProviderConfig): readonly string[] {
  return (["metricsAddress", "healthAddress"] as const)
    .filter((field) => !isLoopback(config.server[field].host))
    .map(
      (field) => `server.${field} is not a loopback address: anyone who can reach this machine can read it`,
    );
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}
