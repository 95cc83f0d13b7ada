import { expect, test } from "bun:test";
import { moduleEnvironment } from "./module-environment.ts";

test("a helper gets the variables of modules, and nothing that subverts a process or logs a PIN", () => {
  const environment = {
    SOFTHSM2_CONF: "/etc/softhsm/softhsm2.conf",
    LD_PRELOAD: "/tmp/x.so",
    BUN_OPTIONS: "--preload=x",
    NODE_OPTIONS: "--require=x",
    PKCS11SPY: "/usr/lib/module.so",
    HTTPS_PROXY: "http://127.0.0.1",
    PATH: "/usr/bin",
    OPENSC_CONF: undefined,
  };
  expect(moduleEnvironment(environment)).toEqual({ SOFTHSM2_CONF: "/etc/softhsm/softhsm2.conf" });
});
