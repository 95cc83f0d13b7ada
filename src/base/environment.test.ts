import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { describeRefused, hardenProcess, sanitiseEnvironment } from "./environment.ts";

describe("variables that can be undone", () => {
  test.each([
    "NODE_TLS_REJECT_UNAUTHORIZED",
    "NODE_EXTRA_CA_CERTS",
    "NODE_OPTIONS",
    "SSL_CERT_FILE",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "all_proxy",
    "NO_PROXY",
    "SSLKEYLOGFILE",
    "BUN_INSTALL",
  ])("%s is removed", (name) => {
    const environment: Record<string, string | undefined> = { [name]: "x", PATH: "/bin" };
    expect(sanitiseEnvironment(environment)).toEqual([]);
    expect(environment).toEqual({ PATH: "/bin" });
  });
});

describe("variables that cannot be undone", () => {
  test.each([
    "BUN_OPTIONS",
    "BUN_INSPECT",
    "BUN_INSPECT_PRELOAD",
    "BUN_CONFIG_VERBOSE_FETCH",
    "BUN_JSC_dumpOptions",
    "BUN_BYTECODE_ORDER_OUT",
    "BUN_SOMETHING_NEW",
    "MIMALLOC_VERBOSE",
    "LD_PRELOAD",
    "LD_AUDIT",
  ])("%s is refused", (name) => {
    expect(sanitiseEnvironment({ [name]: "" })).toMatchObject([{ name }]);
  });
});

test("everything else is left alone", () => {
  const environment = {
    PATH: "/bin",
    TZ: "UTC",
    BAO_KMS_PROVIDER_CONFIG: "/x",
    BUN_JSC_useJIT: "0",
    BUN_JSC_miniVMHeapGrowthFactor: "2",
    BUN_JSC_useConcurrentGC: "0",
    BUN_GC_TIMER_INTERVAL: "30000",
    BUN_CONFIG_DNS_TIME_TO_LIVE_SECONDS: "5",
  };
  expect(sanitiseEnvironment({ ...environment })).toEqual([]);
});

test("the message names the variable and how it is unset, for a shell and for a unit", () => {
  const [refused] = sanitiseEnvironment({ LD_PRELOAD: "/evil.so" });
  const text = refused === undefined ? "" : describeRefused(refused);
  expect(text).toContain("unset LD_PRELOAD");
  expect(text).toContain("UnsetEnvironment=LD_PRELOAD");
  expect(text).not.toContain("evil");
});

test("files are for the owner and, for reading, the group; memory is left out of core dumps", () => {
  const before = process.umask();
  try {
    hardenProcess();
    expect(process.umask()).toBe(0o027);
    if (existsSync("/proc/self/coredump_filter")) {
      expect(Number.parseInt(readFileSync("/proc/self/coredump_filter", "utf8"), 16)).toBe(0);
    }
  } finally {
    process.umask(before);
  }
});
