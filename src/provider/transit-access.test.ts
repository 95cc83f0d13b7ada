/** In which namespace each call of a provider is made. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configFile } from "../../test/fakes/config-file.ts";
import { makeTestCa } from "../../test/fakes/tls/test-ca.ts";
import { systemClock } from "../base/clock.ts";
import { decodeConfig } from "../config/decode-config.ts";
import { openTransitAccess } from "./transit-access.ts";

let dir: string;
const asked: string[] = [];
let server: Bun.Server<undefined>;
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  chmodSync(join(dir, name), 0o600);
  return join(dir, name);
};
const AUTH = {
  client_token: "s.0123456789",
  lease_duration: 600,
  renewable: true,
  token_type: "service",
};
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "transit-access-"));
  const ca = await makeTestCa();
  const { chainPem, keyPem } = await ca.server();
  file("ca.crt", ca.certPem);
  file("role-id", "role");
  file("secret-id", "secret");
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: chainPem, key: keyPem },
    fetch: ({ url, headers }) => {
      asked.push(`${headers.get("X-Vault-Namespace") ?? "root"} ${new URL(url).pathname.slice(4)}`);
      return Response.json({ request_id: "1", auth: AUTH, data: { keys: {} } });
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  rmSync(dir, { recursive: true, force: true });
});

test.each([
  ["infra/kms", undefined, "infra/kms", "infra/kms"],
  ["infra/kms", "infra", "infra", "infra/kms"],
  ["infra/kms", "", "root", "infra/kms"],
  [undefined, undefined, "root", "root"],
])("openbao.namespace %p and auth.namespace %p", async (openbao, auth, login, key) => {
  const text = configFile((fields) => ({
    ...fields,
    openbao: {
      ...fields.openbao,
      address: `https://127.0.0.1:${server.port}`,
      tlsServerName: "localhost",
      caCertFile: join(dir, "ca.crt"),
      namespace: openbao,
    },
    auth: {
      method: "approle",
      namespace: auth,
      approle: {
        mountPath: "auth/approle",
        roleIdFile: join(dir, "role-id"),
        secretIdFile: join(dir, "secret-id"),
      },
    },
  }));
  asked.length = 0;
  const access = await openTransitAccess({
    config: decodeConfig(Buffer.from(text), "test").config,
    clock: systemClock,
    random: () => 0,
    serviceUid: process.getuid?.() ?? 0,
  });
  await access.transit.readKey(new AbortController().signal).catch(() => {});
  await access.session.close(1000);
  access.transport.close();
  expect(asked).toEqual([
    `${login} auth/approle/login`,
    `${key} transit/keys/etcd`,
    `${login} auth/token/revoke-self`,
  ]);
});
