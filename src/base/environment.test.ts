import { describe, expect, test } from "bun:test";
import { sanitiseEnvironment } from "./environment.ts";

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
