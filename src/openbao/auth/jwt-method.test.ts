import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualClock } from "../../../test/fakes/manual-clock.ts";
import { identityClaims, makeJwtIssuer } from "../../../test/fakes/openbao/jwt-issuer.ts";
import { ProviderError } from "../../base/error-class.ts";
import { jwtFileSource, jwtLoginMethod } from "./jwt-method.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "jwt-"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const clock = manualClock();
const issuer = makeJwtIssuer();
const goodJwt = issuer.sign(identityClaims({ audience: "openbao", subject: "node" }, clock.wallMs()));

function prepare(text: string, mode = 0o640, subject = "") {
  const path = join(dir, "identity.jwt");
  rmSync(path, { force: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
  return login(path, subject);
}

function login(path: string, subject = "") {
  return jwtLoginMethod({
    mountPath: "auth/jwt",
    role: "kms-provider",
    source: jwtFileSource(path, process.getuid?.() ?? 0),
    expected: { minRemainingTtlMs: 120_000, leewayMs: 30_000, issuer: "", audience: [], subject },
    clock,
  }).prepare(new AbortController().signal);
}

const failure = async (answer: Promise<unknown>): Promise<ProviderError> => {
  const error: unknown = await answer.catch((each: unknown) => each);
  if (!(error instanceof ProviderError)) {
    throw new TypeError("not a ProviderError");
  }
  expect(Bun.inspect(error)).not.toContain(goodJwt.slice(0, 40));
  return error;
};

describe("login with a JWT from a file", () => {
  test("the request has role and JWT, hidden until it is sent", async () => {
    const request = await prepare(`${goodJwt}\n`);
    expect(JSON.parse(request.body.expose())).toEqual({ role: "kms-provider", jwt: goodJwt });
    expect(Bun.inspect(request)).not.toContain(goodJwt);
    expect(request.credentialExpiresAtMs).toBe(clock.wallMs() + 3_600_000);
  });

  test.each([
    ["not a JWT", "hello", "jwt_malformed", "auth_failed"],
    ["an expired one", issuer.sign({ exp: 1000 }), "jwt_expired", "auth_expired"],
  ])("%s is refused before OpenBao is asked", async (_, text, code, errorClass) => {
    expect(await failure(prepare(text))).toMatchObject({ code, errorClass });
  });

  test("of a wrong subject the found and the expected one are shown, the first up to a length", async () => {
    const wrong = await failure(prepare(goodJwt, 0o640, "other"));
    expect(wrong.code).toBe("jwt_wrong_subject");
    expect(wrong.message).toContain('"node"');
    expect(wrong.message).toContain('"other"');
    const long = issuer.sign(
      identityClaims({ audience: "openbao", subject: "s".repeat(300) }, clock.wallMs()),
    );
    expect((await failure(prepare(long, 0o640, "other"))).message.match(/s{100,}/)?.[0]).toHaveLength(256);
  });

  test("a file that is missing, open to all or a link is refused", async () => {
    expect(await failure(login(join(dir, "missing")))).toMatchObject({
      code: "file_missing",
      errorClass: "auth_failed",
    });
    expect(await failure(prepare(goodJwt, 0o644))).toMatchObject({ code: "file_readable_by_others" });
    symlinkSync("/proc/self/cmdline", join(dir, "link"));
    expect(await failure(login(join(dir, "link")))).toMatchObject({ code: "file_symlink" });
  });
});
