import { expect, test } from "bun:test";
import { inspect } from "node:util";
import { Secret } from "./secret.ts";

const CANARY = "canary-7f3a";

test.each([
  ["String", (secret: Secret) => String(secret)],
  ["template", (secret: Secret) => `${secret}`],
  ["JSON.stringify", (secret: Secret) => JSON.stringify({ secret })],
  ["util.inspect", (secret: Secret) => inspect({ secret }, { depth: 9, showHidden: true })],
  ["Bun.inspect", (secret: Secret) => Bun.inspect({ secret })],
  ["Object.entries", (secret: Secret) => JSON.stringify(Object.entries(secret))],
  ["spread", (secret: Secret) => JSON.stringify({ ...secret })],
  ["structuredClone", (secret: Secret) => JSON.stringify(structuredClone({ ...secret }))],
  ["an error's message", (secret: Secret) => new Error(`got ${secret}`).stack ?? ""],
])("%s shows nothing of a secret", (_, show) => {
  expect(show(new Secret(CANARY))).not.toContain(CANARY);
});

test("expose gives the secret back", () => {
  expect(new Secret(CANARY).expose()).toBe(CANARY);
});
