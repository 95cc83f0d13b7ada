import { describe, expect, test } from "bun:test";
import { configFile } from "../../test/fakes/config-file.ts";
import { decodeConfig } from "./decode-config.ts";
import { ConfigError } from "./errors.ts";
import { relativeNamespace } from "./schema.ts";

const decode = (text: string) => decodeConfig(Buffer.from(text), "test");

function problems(text: string): readonly string[] {
  try {
    decode(text);
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.problems.map(({ path, problem }) => `${path}: ${problem}`);
    }
    throw error;
  }
  return [];
}

const pathsOf = (text: string): readonly string[] => problems(text).map((each) => each.split(":")[0] ?? "");

/** The smallest file with one value set at a path. */
function withValue(path: string, value: unknown): string {
  const set = (tree: unknown, [name = "", ...rest]: readonly string[]): unknown => ({
    ...(typeof tree === "object" ? tree : {}),
    [name]:
      rest.length === 0
        ? value
        : set(
            typeof tree === "object" && tree !== null
              ? Object.entries(tree).find(([key]) => key === name)?.[1]
              : {},
            rest,
          ),
  });
  return JSON.stringify(set(JSON.parse(configFile()), path.split(".")));
}

describe("accepted", () => {
  test("the smallest file gets every default of the contract", () => {
    const { config } = decode(configFile());
    expect(config.server).toEqual({
      socketPath: "/run/openbao-kms/kms.sock",
      createDirectory: false,
      socketMode: 0o660,
      socketGroup: "openbao-kms-socket",
      metricsAddress: { host: "127.0.0.1", port: 8081 },
      healthAddress: { host: "127.0.0.1", port: 8082 },
      maxConcurrentStatus: 16,
      maxConcurrentEncrypt: 32,
      maxConcurrentDecrypt: 64,
    });
    expect(config.openbao).toMatchObject({
      addresses: ["https://openbao.example:8200"],
      namespace: "",
      timeout: 2000,
    });
    expect(config.auth).toMatchObject({
      method: "jwt",
      loginBeforeTokenExpiry: 300_000,
      tokenRenewalIncrement: 3_600_000,
      loginTimeout: 5000,
      jwt: {
        credential: { source: "file", jwtFile: "/var/lib/openbao-kms/identity.jwt" },
        minRemainingTtl: 120_000,
        clockSkewLeeway: 30_000,
      },
    });
    expect(config.bootstrap).toEqual({
      graceTimeout: 60_000,
      retryInterval: 5000,
      missingState: "refuse",
    });
    expect(config.status).toEqual({
      probeInterval: 30_000,
      deepProbeInterval: 300_000,
      statusMaxStaleness: 120_000,
      outage: "keep-writing",
    });
    expect(config.state).toEqual({
      path: "/var/lib/openbao-kms/state/key-registry.json",
      createDirectory: false,
    });
    expect(config.rotation).toEqual({
      mode: "observed",
      activationDelay: 120_000,
      requireStableObservationCount: 3,
      rejectVersionRollback: true,
    });
    expect(config.logging).toEqual({
      level: "info",
      format: "json",
      logOpenBaoRequestIDs: true,
      debugCorrelation: { enabled: false, ttl: 900_000, incidentId: "" },
    });
  });

  test.each([
    ["server.socketGroup", 1001],
    ["server.socketGroup", 4_294_967_294],
    ["server.socketMode", "660"],
    ["server.metricsAddress", "[::1]:9000"],
    ["server.metricsAddress", ":9000"],
    ["openbao.address", "https://[::1]:8200/"],
    ["openbao.namespace", "team/kms"],
    ["openbao.timeout", "1m"],
    ["transit.keyName", "a.b-c_d"],
    ["transit.keyIdScope.clusterId", "Ärger in Zürich"],
    ["auth.jwt.expectedAudience", ["openbao"]],
  ])("%s = %p", (path, value) => {
    expect(problems(withValue(path, value))).toEqual([]);
  });

  test("loginTimeout 0s follows a longer openbao.timeout", () => {
    expect(decode(withValue("openbao.timeout", "20s")).config.auth.loginTimeout).toBe(20_000);
  });
});

describe("auth.namespace", () => {
  const namespaces = (openbao: string | undefined, auth: string | undefined): string => {
    const text = configFile((fields) => ({
      ...fields,
      openbao: { ...fields.openbao, namespace: openbao },
      auth: { ...fields.auth, namespace: auth },
    }));
    return pathsOf(text).join() || decode(text).config.auth.namespace;
  };
  test.each([
    [undefined, undefined, ""],
    ["infra/kms", undefined, "infra/kms"],
    ["infra/kms", "", ""],
    ["infra/kms", "infra", "infra"],
    ["infra/kms", "infra/kms", "infra/kms"],
    ["infra/kms", "inf", "auth.namespace"],
    ["infra", "infra/kms", "auth.namespace"],
    ["infra", "other", "auth.namespace"],
    [undefined, "infra", "auth.namespace"],
    ["infra", "/infra", "auth.namespace"],
  ])("openbao.namespace %p with auth.namespace %p: %s", (openbao, auth, result) => {
    expect(namespaces(openbao, auth)).toBe(result);
  });

  test.each([
    ["a/b/c", "a", "b/c"],
    ["a", "", "a"],
    ["a", "a", ""],
    ["", "", ""],
    ["ab", "a", undefined],
  ])("%s seen from %s is %s", (namespace, above, relative) => {
    expect(relativeNamespace(namespace, above)).toBe(relative);
  });
});

describe("refused", () => {
  test.each([
    ["configVersion", "v1"],
    ["server.socketPath", "run/kms.sock"],
    ["server.socketPath", `/${"a".repeat(107)}`],
    ["server.socketPath", "/run/../kms.sock"],
    ["server.socketMode", 660],
    ["server.socketMode", "0666"],
    ["server.socketMode", "0770"],
    ["server.socketMode", "4660"],
    ["server.socketGroup", ""],
    ["server.socketGroup", "a b"],
    ["server.socketGroup", 4_294_967_295],
    ["server.metricsAddress", "127.0.0.1"],
    ["server.metricsAddress", "127.0.0.1:0"],
    ["server.metricsAddress", "example.com:80"],
    ["server.healthAddress", "127.0.0.1:8081"],
    ["server.maxConcurrentStatus", 0],
    ["server.maxConcurrentStatus", 1.5],
    ["server.maxConcurrentStatus", "16"],
    ["openbao.address", "http://openbao.example:8200"],
    ["openbao.address", "https://user:pw@openbao.example"],
    ["openbao.address", "https://openbao.example/?a"],
    ["openbao.address", "https://openbao.example/#a"],
    ["openbao.address", "https://openbao.example/v1"],
    ["openbao.namespace", "/team"],
    ["openbao.namespace", "team/"],
    ["openbao.namespace", "a/../b"],
    ["openbao.caCertFile", null],
    ["openbao.tlsServerName", "a b"],
    ["openbao.instanceId", " a"],
    ["openbao.instanceId", "a\u0007"],
    ["openbao.timeout", "2"],
    ["openbao.timeout", "1ms"],
    ["auth.method", "token"],
    ["auth.tokenRenewalIncrement", "5m"],
    ["auth.jwt.mountPath", "jwt"],
    ["auth.jwt.role", ""],
    ["auth.jwt.expectedAudience", "openbao"],
    ["transit.mountPath", "/transit"],
    ["transit.keyName", ".."],
    ["transit.keyName", "a/b"],
    ["transit.keyIdScope.providerName", "a:b"],
    ["status.probeInterval", "2m"],
    ["rotation.mode", "automatic"],
    ["rotation.rejectVersionRollback", false],
    ["logging.level", "trace"],
  ])("%s = %p", (path, value) => {
    expect(pathsOf(withValue(path, value))).toEqual([path]);
  });

  test.each([
    ["auth.method", "cert", "auth.cert"],
    ["auth.method", "approle", "auth.approle"],
    ["auth.jwt.source", "oauth2", "auth.jwt.oauth2"],
  ])("%s = %s without its section", (path, value, missing) => {
    expect(problems(withValue(path, value))).toEqual([`${missing}: is missing`]);
  });

  test.each([
    ["server.socketGroup", undefined, "is missing"],
    ["server", undefined, "is missing"],
    ["openbao.caCertFile", null, "has no value"],
    ["server.socketMode", 660, "is a number"],
    ["server.createDirectory", "yes", "is text"],
    ["server.maxConcurrentStatus", true, "is true or false"],
    ["openbao.timeout", [], "is a list"],
    ["openbao.timeout", {}, "is a section"],
    ["status", [1], "is a list"],
    ["status", "fast", "is text"],
    ["rotation.mode", "observd", '("observd") is not a known choice'],
    ["rotation.mode", 1, "(1) is not a known choice"],
    ["logging.level", "x".repeat(38), `("${"x".repeat(38)}") is not a known choice`],
    ["logging.level", "x".repeat(39), "is not a known choice"],
  ])("%s = %p: %s", (path, value, problem) => {
    expect(problems(withValue(path, value))).toEqual([`${path}: ${problem}`]);
  });

  test("a required section of sections is to be added, not left out", () => {
    const text = configFile((fields) => ({ ...fields, auth: undefined }));
    try {
      decodeConfig(Buffer.from(text), "file");
      expect.unreachable();
    } catch (error) {
      expect(error instanceof ConfigError ? error.problems : []).toEqual([
        {
          path: "auth",
          problem: "is missing",
          fix: "add the section auth with jwt or cert or approle in it",
        },
      ]);
    }
  });

  test("several problems come together, each with its path", () => {
    const text = configFile((fields) => ({
      ...fields,
      server: { socketMode: "0777" },
      extra: 1,
      status: [],
    }));
    expect([...pathsOf(text)].sort()).toEqual(["extra", "server.socketGroup", "server.socketMode", "status"]);
  });

  test("neither address nor addresses, and both", () => {
    expect(pathsOf(withValue("openbao.address", undefined))).toEqual(["openbao.address"]);
    expect(pathsOf(withValue("openbao.addresses", ["https://a", "https://b"]))).toEqual(["openbao.address"]);
  });

  test("an unknown field is named at every level, with the nearest known one", () => {
    const nearest = (path: string): string => {
      try {
        decode(withValue(path, 1));
      } catch (error) {
        return error instanceof ConfigError ? (error.problems[0]?.fix ?? "") : "";
      }
      return "";
    };
    expect(nearest("sever")).toContain("server");
    expect(nearest("server.socketPaht")).toContain("server.socketPath");
    expect(nearest("transit.keyIdScope.clusterID2")).toContain("clusterId");
    expect(nearest("server.jwtFile")).toContain("auth.jwt.jwtFile");
  });

  test("debugCorrelation needs level debug, request ids and an incident", () => {
    expect(pathsOf(withValue("logging", { debugCorrelation: { enabled: true } }))).toEqual([
      "logging.debugCorrelation",
    ]);
    expect(
      problems(
        withValue("logging", { level: "debug", debugCorrelation: { enabled: true, incidentId: "INC-1" } }),
      ),
    ).toEqual([]);
  });

  test("a value that may be a misplaced secret is not repeated", () => {
    const canary = "hvs.CANARY";
    for (const path of [
      "auth.jwt.jwtFile",
      "openbao.caCertFile",
      "openbao.address",
      "openbao.namespace",
      "transit.keyName",
      "auth.jwt.expectedAudience",
      `server.x`,
      "server.socketGroup",
    ]) {
      expect(problems(withValue(path, `${canary} ${canary}`)).join()).not.toContain("CANARY");
    }
  });
});

describe("YAML", () => {
  test.each([
    ["empty", ""],
    ["a list", "- a"],
    ["text", "hello"],
    ["a repeated key", "configVersion: v1alpha1\nconfigVersion: v1alpha1\n"],
    ["two documents", "a: 1\n---\nb: 2\n"],
    ["an alias", "a: &x [1]\nb: *x\n"],
    ["a tag", "a: !!js/function x\n"],
    ["broken syntax", "a: [1\n"],
    ["deep nesting", "[".repeat(60_000)],
    ["too large", `#${" ".repeat(70_000)}`],
  ])("%s is refused", (_, text) => {
    expect(pathsOf(text).length).toBeGreaterThan(0);
  });

  test("invalid UTF-8 is refused", () => {
    expect(() => decodeConfig(new Uint8Array([0xff, 0xfe, 0x41]), "test")).toThrow(ConfigError);
  });
});
