import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFile } from "../../test/fakes/config-file.ts";
import { ConfigError } from "./errors.ts";
import { loadConfig } from "./load.ts";

const directory = mkdtempSync(join(tmpdir(), "config-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const path = join(directory, "config.yaml");
writeFileSync(path, configFile(), { mode: 0o640 });
const serviceUid = process.getuid?.() ?? 0;

const originOf = async (field: string, request: Partial<Parameters<typeof loadConfig>[0]>) => {
  const { fields } = await loadConfig({ path, environment: {}, serviceUid, ...request });
  return fields.find((each) => each.path === field);
};

describe("where a value comes from", () => {
  test("a flag wins over the environment, which wins over the file, which wins over the default", async () => {
    const environment = { BAO_KMS_PROVIDER_LOG_LEVEL: "warn" };
    expect(await originOf("logging.level", {})).toMatchObject({ value: "info", origin: "default" });
    expect(await originOf("logging.level", { environment })).toMatchObject({
      value: "warn",
      origin: "environment",
    });
    expect(await originOf("logging.level", { environment, flags: { logLevel: "error" } })).toMatchObject({
      value: "error",
      origin: "flag",
    });
    expect(await originOf("server.socketGroup", {})).toMatchObject({ origin: "file" });
  });

  test("fields of sections that are not chosen are not in force", async () => {
    expect(await originOf("auth.cert.name", {})).toBeUndefined();
    expect(await originOf("auth.jwt.oauth2.authMethod", {})).toBeUndefined();
    expect(await originOf("auth.jwt", {})).toBeUndefined();
    expect(await originOf("auth.jwt.minRemainingTtl", {})).toMatchObject({ origin: "default" });
    expect(await originOf("status.probeInterval", {})).toMatchObject({ value: "30s", origin: "default" });
  });

  test("an override is checked like the file", async () => {
    await expect(
      loadConfig({
        path,
        environment: { BAO_KMS_PROVIDER_SERVER_HEALTH_ADDRESS: "127.0.0.1:8081" },
        serviceUid,
      }),
    ).rejects.toBeInstanceOf(ConfigError);
  });
});

describe("the path", () => {
  test("comes from the environment when no flag names it", async () => {
    const loaded = await loadConfig({ environment: { BAO_KMS_PROVIDER_CONFIG: path }, serviceUid });
    expect(loaded.path).toBe(path);
  });

  test("must come from somewhere", async () => {
    await expect(loadConfig({ environment: {}, serviceUid })).rejects.toMatchObject({
      code: "config_path_missing",
    });
  });

  test("must be a file that others cannot write", async () => {
    const open = join(directory, "open.yaml");
    writeFileSync(open, configFile());
    chmodSync(open, 0o664);
    await expect(loadConfig({ path: open, environment: {}, serviceUid })).rejects.toMatchObject({
      code: "file_writable_by_others",
    });
  });
});

test("what is odd but allowed is a warning", async () => {
  const { warnings } = await loadConfig({
    path,
    environment: { BAO_KMS_PROVIDER_TOKEN: "x" },
    flags: { metricsAddress: "0.0.0.0:8081" },
    serviceUid,
  });
  expect(warnings).toHaveLength(2);
  expect(warnings.join()).toContain("BAO_KMS_PROVIDER_TOKEN");
  expect(warnings.join()).toContain("server.metricsAddress");
});

test.each([
  ["localhost", 0],
  ["[::1]", 0],
  ["127.255.0.9", 0],
  ["128.0.0.1", 1],
  ["[::2]", 1],
])("metrics on %s: %i warnings", async (host, count) => {
  const flags = { metricsAddress: `${host}:8081` };
  expect((await loadConfig({ path, environment: {}, flags, serviceUid })).warnings).toHaveLength(count);
});
