import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type ClaimProblem,
  claimProblem,
  decodeJwtClaims,
  isMilliseconds,
  type JwtExpectations,
  MAX_JWT_BYTES,
} from "./jwt-claims.ts";

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = (claims: unknown, header: unknown = { alg: "ES256" }): string =>
  `${part(header)}.${part(claims)}.c2lnbmF0dXJl`;

describe("decoding a JWT", () => {
  test("any text is claims or nothing, and never throws", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary-ascii" }), fc.jsonValue().map(jwt)), (text) => {
        const decoded = decodeJwtClaims(text);
        expect(decoded.ok ? Array.isArray(decoded.claims.audience) : decoded.flaw.kind).not.toBe(false);
      }),
    );
  });

  test("good claims come out as they went in", () => {
    const seconds = fc.integer({ min: 0, max: 4_000_000_000 });
    fc.assert(
      fc.property(
        seconds,
        seconds,
        fc.string(),
        fc.oneof(fc.string(), fc.array(fc.string())),
        (exp, nbf, iss, aud) => {
          expect(decodeJwtClaims(jwt({ exp, nbf, iss, aud, other: [1] }))).toEqual({
            ok: true,
            claims: {
              expiresAt: exp,
              notBefore: nbf,
              issuedAt: undefined,
              issuer: iss,
              subject: undefined,
              audience: typeof aud === "string" ? [aud] : aud,
            },
          });
        },
      ),
    );
  });

  test.each([
    ["empty", ""],
    ["two parts", `${part({ alg: "ES256" })}.${part({})}`],
    ["four parts", `${jwt({})}.x`],
    ["no signature", `${part({ alg: "ES256" })}.${part({})}.`],
    ["alg none", jwt({}, { alg: "none" })],
    ["no alg", jwt({}, {})],
    ["a header that is no object", jwt({}, "ES256")],
    ["claims that are no object", jwt([1])],
    ["padding", jwt({ a: 1 }).replace(".", "=.")],
    ["a line break", `${jwt({})}\n`],
    ["too long", jwt({ iss: "x".repeat(MAX_JWT_BYTES) })],
  ])("%s is nothing", (_, text) => {
    expect(decodeJwtClaims(text)).toEqual({ ok: false, flaw: { kind: "not_compact" } });
  });

  test("the longest has exactly the bound", () => {
    const longest = jwt({}).padEnd(MAX_JWT_BYTES, "A");
    expect(MAX_JWT_BYTES).toBe(16_384);
    expect(decodeJwtClaims(longest).ok).toBe(true);
    expect(decodeJwtClaims(`${longest}A`)).toEqual({ ok: false, flaw: { kind: "not_compact" } });
  });

  test.each([
    ["exp", "1"],
    ["exp", true],
    ["nbf", {}],
    ["iat", []],
    ["iss", 1],
    ["sub", 7],
    ["aud", [1]],
    ["aud", ["a", null]],
    ["aud", {}],
  ])("a claim %s of %j is named", (claim, value) => {
    const decoded = decodeJwtClaims(jwt({ [claim]: value }));
    expect(decoded).toMatchObject({ ok: false, flaw: { kind: "claim", claim } });
  });

  test("a claim that is null is an absent one, as for OpenBao", () => {
    const nothing = { exp: null, nbf: null, iat: null, iss: null, sub: null, aud: null };
    expect(decodeJwtClaims(jwt(nothing))).toEqual(decodeJwtClaims(jwt({})));
  });

  test.each([
    [1_800_000_000_000, 253_402_300_799],
    [253_402_300_799, 253_402_300_799],
    [253_402_300_798.5, 253_402_300_798.5],
    [1e300, 253_402_300_799],
    [-1, -1],
  ])("an exp of %p is the time %p, which a date can show", (exp, expected) => {
    const decoded = decodeJwtClaims(jwt({ exp }));
    expect(decoded).toMatchObject({ ok: true, claims: { expiresAt: expected } });
    expect(() => new Date(expected * 1000).toISOString()).not.toThrow();
  });
});

describe("checking claims", () => {
  const NOW = 1_800_000_000;
  const ANY: JwtExpectations = {
    minRemainingTtlMs: 120_000,
    leewayMs: 30_000,
    issuer: "",
    audience: [],
    subject: "",
  };
  const GOOD = { iss: "i", sub: "s", aud: ["a", "b"], iat: NOW - 10, nbf: NOW - 10, exp: NOW + 3600 };
  const check = (
    claims: object,
    expected: Partial<JwtExpectations> = {},
  ): ClaimProblem | undefined | "malformed" => {
    const decoded = decodeJwtClaims(jwt({ ...GOOD, ...claims }));
    return decoded.ok ? claimProblem(decoded.claims, { ...ANY, ...expected }, NOW * 1000) : "malformed";
  };
  const cases: readonly [string, object, Partial<JwtExpectations>, ClaimProblem | undefined][] = [
    ["all is well", {}, { issuer: "i", subject: "s", audience: ["x", "b"] }, undefined],
    ["no times at all", { exp: undefined, nbf: undefined, iat: undefined }, {}, undefined],
    ["expired, with the leeway", { exp: NOW - 30 }, {}, "jwt_expired"],
    ["expired, within the leeway", { exp: NOW - 29 }, { minRemainingTtlMs: -60_000 }, undefined],
    ["too little left", { exp: NOW + 119 }, {}, "jwt_expires_soon"],
    ["just enough left", { exp: NOW + 120 }, {}, undefined],
    ["not yet valid", { nbf: NOW + 31 }, {}, "jwt_not_yet_valid"],
    ["not yet valid, within the leeway", { nbf: NOW + 30 }, {}, undefined],
    ["issued in the future", { iat: NOW + 31 }, {}, "jwt_issued_in_future"],
    ["issued in the future, within the leeway", { iat: NOW + 30 }, {}, undefined],
    ["another issuer", {}, { issuer: "j" }, "jwt_wrong_issuer"],
    ["no issuer", { iss: undefined }, { issuer: "i" }, "jwt_wrong_issuer"],
    ["another audience", {}, { audience: ["c"] }, "jwt_wrong_audience"],
    ["no audience", { aud: undefined }, { audience: ["a"] }, "jwt_wrong_audience"],
    ["null times", { nbf: null, iat: null, exp: null }, {}, undefined],
    ["an end in milliseconds", { exp: NOW * 1000 }, {}, undefined],
    ["a beginning in milliseconds", { nbf: NOW * 1000 }, {}, "jwt_not_yet_valid"],
    ["another subject", {}, { subject: "t" }, "jwt_wrong_subject"],
  ];
  test.each(cases)("%s", (_, claims, expected, problem) => {
    expect(check(claims, expected)).toBe(problem);
  });
});

test.each([
  [undefined, false],
  [100_000_000_000, false],
  [100_000_000_001, true],
])("a time of %p in milliseconds: %p", (seconds, expected) => {
  expect(isMilliseconds(seconds)).toBe(expected);
});
