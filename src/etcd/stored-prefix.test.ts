import { expect, test } from "bun:test";
import { storedPrefix } from "./run-audit.ts";

test.each([
  ["/registry", "/registry/"],
  ["registry", "/registry/"],
  ["registry/", "/registry/"],
  ["/registry/", "/registry/"],
  ["//registry//", "/registry/"],
  ["kubernetes.io", "/kubernetes.io/"],
  ["a/../b/./c", "/b/c/"],
  ["/", "/"],
  ["", "/"],
])("--etcd-prefix=%s stores below %s", (flag, stored) => {
  expect(storedPrefix(flag)).toBe(stored);
});
