import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { privateDirectory } from "./kms.ts";

test("the first place that can be written is taken", () => {
  const place = mkdtempSync(join(tmpdir(), "place-"));
  try {
    const made = privateDirectory([join(place, "absent"), "/proc", place]);
    expect(readdirSync(place)).toEqual([made.slice(place.length + 1)]);
    expect(statSync(made).mode & 0o777).toBe(0o700);
  } finally {
    rmSync(place, { recursive: true });
  }
});

test("without one the message gives each place and its reason", () => {
  expect(() => privateDirectory(["/no/such/place", "/proc"])).toThrow(
    expect.objectContaining({
      code: "no_temporary_directory",
      message: expect.stringMatching(/\/no\/such\/place \(ENOENT\) or \/proc \([A-Z]+\)$/),
    }),
  );
});
