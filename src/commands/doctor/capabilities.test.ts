import { expect, test } from "bun:test";
import { forbiddenCapabilities, hasCapability, neededCapabilities } from "./capabilities.ts";

test.each<[readonly string[] | undefined, boolean]>([
  [undefined, false],
  [[], false],
  [["update"], false],
  [["read"], true],
  [["update", "read"], true],
  [["root"], true],
  [["deny"], false],
  [["deny", "read"], false],
  [["deny", "root"], false],
])("%p can read: %p", (held, expected) => {
  expect(hasCapability(held, "read")).toBe(expected);
});

test("nothing is both needed and forbidden", () => {
  const paths = { mountPath: "transit", keyName: "etcd" };
  const names = [...neededCapabilities(paths), ...forbiddenCapabilities(paths)].map(
    ({ path, capability }) => `${path} ${capability}`,
  );
  expect(new Set(names).size).toBe(names.length);
});
