/** The compiled executable in an environment that wants to subvert it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { REPORT_SCHEMAS } from "../../scripts/reference/report-schemas.ts";
import { makeNodeFiles, type NodeFiles } from "../fakes/node-files.ts";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { runCommand } from "../harness/command.ts";
import { builtExecutable } from "../harness/executable.ts";

const executable = builtExecutable();
const directory = mkdtempSync(join(tmpdir(), "environment-"));
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Files that the executable must not read from where it is started. */
writeFileSync(join(directory, ".env"), "BAO_KMS_PROVIDER_CONFIG=/from-dotenv\n");
writeFileSync(join(directory, "bunfig.toml"), 'preload = ["./preload.js"]\n');
writeFileSync(join(directory, "preload.js"), 'console.log("PRELOADED");\n');

function start(args: readonly string[], environment: Record<string, string> = {}) {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(executable, args, {
    cwd: directory,
    env: { PATH: "/usr/bin:/bin", ...environment },
    encoding: "utf8",
    timeout: 10_000,
  });
  return { status, stdout, stderr, ms: performance.now() - started };
}

const plain = start(["version"]);

test("it starts, and a command that serves nothing is there in less than 150 ms", () => {
  expect(plain.status).toBe(0);
  const fastest = Math.min(...Array.from({ length: 5 }, () => start(["version"]).ms));
  expect(fastest).toBeLessThan(150);
});

describe("refused, naming the variable and the fix", () => {
  test.each([
    ["BUN_OPTIONS", "--smol"],
    ["BUN_INSPECT", "127.0.0.1:0"],
    ["BUN_CONFIG_VERBOSE_FETCH", "curl"],
    ["BUN_JSC_logGC", "1"],
    ["MIMALLOC_SHOW_ERRORS", "1"],
    ["LD_LIBRARY_PATH", "/nowhere"],
  ])("%s", (name, value) => {
    const { status, stdout, stderr } = start(["version"], { [name]: value });
    expect(status).toBe(3);
    expect(stdout).not.toContain("bao-kms-provider");
    expect(stderr).toContain(`unset ${name}`);
    expect(stderr).toEndWith("\nsee: /usr/share/doc/bao-kms-provider/troubleshooting.md#config_invalid\n");
  });
});

describe("without any effect", () => {
  test.each([
    ["NODE_TLS_REJECT_UNAUTHORIZED", "0"],
    ["NODE_OPTIONS", "--require ./preload.js"],
    ["NODE_EXTRA_CA_CERTS", "/nowhere"],
    ["NODE_V8_COVERAGE", "coverage"],
    ["NODE_COMPILE_CACHE", "cache"],
    ["HTTPS_PROXY", "http://127.0.0.1:1"],
    ["SSL_CERT_FILE", "/nowhere"],
    ["SSLKEYLOGFILE", "keys"],
    ["BUN_CONFIG_DNS_TIME_TO_LIVE_SECONDS", "5"],
    ["BUN_JSC_miniVMHeapGrowthFactor", "2"],
    ["BUN_JSC_useConcurrentGC", "0"],
    ["BUN_GC_TIMER_INTERVAL", "30000"],
  ])("%s", (name, value) => {
    const { status, stdout, stderr } = start(["version"], { [name]: value });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: plain.stdout, stderr: "" });
  });

  describe("on how OpenBao is verified", () => {
    let node: NodeFiles;
    beforeAll(async () => {
      node = await makeNodeFiles();
    });
    afterAll(() => node.dispose());
    /** The codes of failures of openbao.tls; the stand-in runs in this process, so the child may not block it. */
    const tlsFailures = async (environment: Record<string, string>): Promise<readonly string[]> => {
      const words = [executable, "doctor", "--config", node.configPath, "--output", "json"];
      const { stdout } = await runCommand(words, { env: { PATH: "/usr/bin:/bin", ...environment } });
      const { checks } = v.parse(REPORT_SCHEMAS.doctor, JSON.parse(stdout));
      return checks.find(({ id }) => id === "openbao.tls")?.findings.map(({ code }) => code) ?? ["absent"];
    };

    test.each(["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"])("%s", async (name) => {
      expect(await tlsFailures({ [name]: "http://127.0.0.1:1" })).toEqual([]);
    });

    test("a CA that is not the configured one, whatever the environment trusts", async () => {
      const { certPem } = await makeTestCa({ commonName: "another CA" });
      writeFileSync(node.at("other-ca.crt"), certPem, { mode: 0o644 });
      node.writeConfig((fields) => ({
        ...fields,
        openbao: { ...fields.openbao, caCertFile: node.at("other-ca.crt") },
      }));
      const untrusted = await tlsFailures({});
      expect(untrusted).toHaveLength(1);
      for (const [name, value] of [
        ["NODE_TLS_REJECT_UNAUTHORIZED", "0"],
        ["NODE_EXTRA_CA_CERTS", node.at("ca.crt")],
        ["SSL_CERT_FILE", node.at("ca.crt")],
        ["NODE_USE_SYSTEM_CA", "1"],
      ] as const) {
        expect(await tlsFailures({ [name]: value })).toEqual(untrusted);
      }
    });
  });

  test(".env and bunfig.toml of the working directory", () => {
    const { stdout, stderr } = start(["config"]);
    expect(stdout + stderr).not.toContain("PRELOADED");
    expect(stderr).toContain("BAO_KMS_PROVIDER_CONFIG");
    expect(stderr).not.toContain("/from-dotenv");
  });

  test("nothing was written into the working directory", () => {
    expect(readdirSync(directory).sort()).toEqual([".env", "bunfig.toml", "preload.js"]);
  });
});
