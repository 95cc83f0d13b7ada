import { describe, expect, test } from "bun:test";
import { ProviderError } from "../../base/error-class.ts";
import { answerError, circuitOpenError } from "../client/errors.ts";
import { AuthError, loginError, renewalError } from "./errors.ts";

const answered = (code: Parameters<typeof answerError>[0]) =>
  answerError(code, { operation: "jwt_login", path: "auth/jwt/login" });

describe("a login that failed", () => {
  test.each([
    "permission_denied",
    "mount_missing",
    "not_found",
    "namespace_missing",
    "request_refused",
  ] as const)("with %s was not let in", (code) => {
    const error = loginError(answered(code), "auth/jwt");
    expect(error).toBeInstanceOf(AuthError);
    expect(error).toMatchObject({ code, errorClass: "auth_failed" });
  });

  test("says what to compare; for a namespace that is missing, the namespace", () => {
    expect(loginError(answered("permission_denied"), "auth/jwt").advice).toContain("bao list auth/jwt/role");
    const missing = answered("namespace_missing");
    expect(loginError(missing, "auth/jwt").advice).toBe(missing.advice ?? "none");
  });

  test.each([
    ["sealed", "openbao_sealed"],
    ["rate_limited", "openbao_rate_limited"],
    ["login_jwt_expired", "auth_expired"],
  ] as const)("with %s keeps its class and advice", (code, errorClass) => {
    const thrown = answered(code);
    const error = loginError(thrown, "auth/jwt");
    expect(error).toBeInstanceOf(AuthError);
    expect(error).toMatchObject({ code, errorClass, cause: thrown });
    expect(error.advice).toBe(thrown.advice ?? "none");
  });

  test("without an advice has none", () => {
    const error = renewalError(answered("not_renewable"));
    expect(error.code).toBe("not_renewable");
    expect(error.advice).toBeUndefined();
  });

  test("with an error of another layer is that error, even where its code is one of OpenBao's", () => {
    const foreign = new ProviderError({ code: "not_found", errorClass: "config_invalid", message: "x" });
    expect(loginError(foreign, "auth/jwt")).toBe(foreign);
  });

  test("with what no layer knows says so", () => {
    const cause = new TypeError("bug");
    expect(loginError(cause, "auth/jwt")).toMatchObject({
      code: "login_failed",
      errorClass: "unknown",
      cause,
    });
  });
});

describe("a renewal that failed", () => {
  test("with a denial has an expired token; other failures keep their class", () => {
    expect(renewalError(answered("permission_denied"))).toMatchObject({
      code: "permission_denied",
      errorClass: "auth_expired",
    });
    expect(renewalError(answered("sealed"))).toMatchObject({ code: "sealed", errorClass: "openbao_sealed" });
    expect(renewalError(circuitOpenError(answered("sealed")))).toMatchObject({ code: "circuit_open" });
    expect(renewalError("odd")).toMatchObject({ code: "login_failed", errorClass: "unknown" });
  });
});
