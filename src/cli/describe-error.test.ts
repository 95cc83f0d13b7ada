import { expect, test } from "bun:test";
import { ProviderError } from "../base/error-class.ts";
import { ConfigError } from "../config/errors.ts";
import { describeError, describeOnOneLine } from "./describe-error.ts";

const error = (advice?: string) =>
  new ProviderError({
    code: "x",
    errorClass: "timeout",
    message: "why",
    ...(advice === undefined ? {} : { advice }),
  });

test("an error of ours, with and without advice", () => {
  expect(describeError(error("what"))).toEqual(["error: why\n  fix: what"]);
  expect(describeError(error())).toEqual(["error: why"]);
  expect(describeOnOneLine(error("what"))).toBe(
    "error: why; fix: what; see: /usr/share/doc/bao-kms-provider/troubleshooting.md#timeout",
  );
  expect(describeOnOneLine(error())).toBe(
    "error: why; see: /usr/share/doc/bao-kms-provider/troubleshooting.md#timeout",
  );
});

test("a configuration that could not be read at all still says why", () => {
  const unread = new ConfigError("config_malformed", "config.yaml", []);
  expect(describeError(unread)).toEqual([expect.stringContaining("error: config.yaml was refused\n  fix: ")]);
});

test("the operating system's name of an error; of everything else its kind, and never its text", () => {
  const system = Object.assign(new Error("secret"), { code: "ENOSPC" });
  expect(describeError(system)).toEqual(["error: the operating system answered ENOSPC"]);
  for (const [thrown, kind] of [
    [Object.assign(new Error("secret"), { code: "not one" }), "Error"],
    [Object.assign(new Error("secret"), { code: 5 }), "Error"],
    [new TypeError("secret"), "TypeError"],
    [{ code: "ENOSPC" }, "object"],
    ["secret", "string"],
    [null, "object"],
  ] as const) {
    const [line = ""] = describeError(thrown);
    expect(line).toStartWith(`error: internal failure (${kind});`);
    expect(line).not.toContain("secret");
  }
});
