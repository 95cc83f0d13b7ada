import { expect, test } from "bun:test";
import fc from "fast-check";
import { makeFakeOpenBao } from "./fake-openbao.ts";

const path = fc.oneof(
  fc.constantFrom(
    "transit/keys/k",
    "transit/encrypt/k",
    "transit/decrypt/k",
    "transit/keys/k/config",
    "transit/config/keys",
    "auth/jwt/login",
    "auth/jwt/config",
    "auth/jwt/role/r",
    "auth/token/renew-self",
    "sys/capabilities-self",
    "sys/wrapping/unwrap",
    "sys/policies/acl/p",
    "sys/health",
  ),
  fc.webPath(),
);
const body = fc.oneof(
  fc.constant(""),
  fc.string(),
  fc.json(),
  fc
    .dictionary(
      fc.constantFrom(
        "plaintext",
        "ciphertext",
        "associated_data",
        "key_version",
        "batch_input",
        "increment",
        "jwt",
        "role",
      ),
      fc.jsonValue(),
    )
    .map((value) => JSON.stringify(value)),
);

test("whatever is asked, the stand-in answers with a status and JSON, and never throws", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("GET", "POST", "PUT", "DELETE", "LIST", "PATCH"),
      path,
      body,
      fc.constantFrom("root", "", "s.unknown"),
      (method, target, text, token) => {
        const openbao = makeFakeOpenBao();
        const send = (verb: string, where: string, what: string) =>
          openbao.handle({
            method: verb,
            target: `/v1/${where.replace(/^\//, "")}`,
            headers: { "x-vault-token": token },
            body: what,
          }).reply;
        send("POST", "sys/mounts/transit", '{"type":"transit"}');
        send("POST", "sys/auth/jwt", '{"type":"jwt"}');
        send("POST", "transit/keys/k", "{}");
        const reply = send(method, target, text);
        expect(reply.status).toBeWithin(200, 600);
        expect(reply.body === undefined || typeof reply.body === "object").toBe(true);
      },
    ),
    { numRuns: 150 },
  );
});
