import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseMountPoints, readMountPoints } from "./mount-points.ts";

/** As the kernel writes it: blanks, tabs, newlines and backslashes in octal. */
const escape = (path: string): string =>
  path.replace(/[ \t\n\\]/g, (each) => `\\${each.charCodeAt(0).toString(8).padStart(3, "0")}`);

describe("mount points", () => {
  test("any path comes back as it was mounted", () => {
    const path = fc
      .array(fc.string({ minLength: 1 }), { maxLength: 4 })
      .map((parts) => `/${parts.join("/")}`);
    fc.assert(
      fc.property(fc.array(path), (paths) => {
        const text = paths
          .map((each) => `36 35 98:0 / ${escape(each)} rw,noatime - ext4 /dev/root rw`)
          .join("\n");
        expect(parseMountPoints(text)).toEqual(new Set(paths));
      }),
    );
  });

  test("anything else gives no mount point that does not begin with a slash", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect([...parseMountPoints(text)].every((each) => each.startsWith("/"))).toBe(true);
      }),
    );
  });

  test("the source of a bind mount is not its mount point", () => {
    expect(parseMountPoints("1 2 0:1 /source /target rw - tmpfs tmpfs rw")).toEqual(new Set(["/target"]));
  });

  test("this machine's own", () => {
    expect(readMountPoints().has("/proc")).toBe(true);
    expect(readMountPoints("/nonexistent")).toEqual(new Set());
  });
});
