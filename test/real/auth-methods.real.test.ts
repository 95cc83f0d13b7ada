/**
 * @module Every login method on a real OpenBao, as the composition root builds it. Login, rotation of the credential without a
 * new object graph, and each refusal by its code.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../src/base/secret.ts";
import { unwrapSecretId } from "../../src/openbao/auth/unwrap-secret-id.ts";
import { codeOf } from "../fakes/code-of.ts";
import { configFile, onOpenBao } from "../fakes/config-file.ts";
import { startAuthorizationServer } from "../fakes/oauth2/authorization-server.ts";
import { textAt } from "../fakes/openbao/json-at.ts";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import {
  jwtRole,
  type Provisioning,
  provision,
  provisionCertLogin,
  provisionJwtLogin,
} from "../fakes/openbao/provision.ts";
import { serveWorkloadApi } from "../fakes/spiffe/workload-api.ts";
import { makeTestCa, type TestCa } from "../fakes/tls/test-ca.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { describeReal } from "../harness/real-suite.ts";
import { transitAccess } from "../harness/transit-access.ts";

const signal = (): AbortSignal => AbortSignal.timeout(10_000);

describeReal("login methods on a real OpenBao", { needs: ["bao"] }, (binary) => {
  let dir: string;
  let bao: RealOpenBao;
  let names: Provisioning;
  const closers: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "methods-"));
    bao = await startOpenBao(binary("bao"));
    names = await provision(bao.operator, makeJwtIssuer().publicKeyPem);
  }, 60_000);
  afterAll(async () => {
    await Promise.all(closers.map((close) => close()));
    await bao.dispose();
    rmSync(dir, { recursive: true });
  });

  const path = (name: string): string => join(dir, name);
  const write = (name: string, text: string): string => {
    writeFileSync(path(name), text, { mode: 0o600 });
    return path(name);
  };

  /** The object graph of a configuration with this `auth`. */
  const access = (auth?: object) => {
    const openbao = { address: bao.address, caCertFile: bao.caFile };
    return transitAccess(
      configFile((fields) => ({ ...onOpenBao(fields, openbao, names), auth: auth ?? fields.auth })),
    );
  };

  /** Logs in anew and reads the key with the token. */
  const logIn = async (auth: object): Promise<string> => {
    const { session, transit, transport } = await access(auth);
    const code = await codeOf(transit.readKey(signal()));
    await session.close(2000);
    transport.close();
    return code;
  };

  describe("approle", () => {
    const secretId = async (body = {}): Promise<string> =>
      textAt(await bao.operator.must("POST", "auth/approle/role/kms/secret-id", body), "data", "secret_id");
    let roleId: string;
    beforeAll(async () => {
      await bao.operator.must("POST", "sys/auth/approle", { type: "approle" });
      await bao.operator.must("POST", "auth/approle/role/kms", {
        token_policies: [names.policyName],
        token_ttl: "20m",
        secret_id_num_uses: 2,
      });
      roleId = textAt(await bao.operator.must("GET", "auth/approle/role/kms/role-id"), "data", "role_id");
    });
    const auth = (): object => ({
      method: "approle",
      approle: { mountPath: "auth/approle", roleId, secretIdFile: path("secret-id") },
    });

    test("logs in until the secret id is used up, and again with a new one", async () => {
      write("secret-id", `${await secretId()}\n`);
      expect([await logIn(auth()), await logIn(auth()), await logIn(auth())]).toEqual([
        "ok",
        "ok",
        "login_secret_refused",
      ]);
      write("secret-id", await secretId());
      expect(await logIn(auth())).toBe("ok");
    });

    test("takes a wrapped secret id out of its wrapping, once", async () => {
      const reply = await bao.operator.must(
        "POST",
        "auth/approle/role/kms/secret-id",
        {},
        { wrapTtl: "60s" },
      );
      const token = textAt(reply, "wrap_info", "token");
      write("secret-id", token);
      expect(await logIn(auth())).toBe("secret_id_wrapped");
      const { openbao, transport } = await access();
      const unwrap = (roleName = "kms") =>
        unwrapSecretId(
          { openbao, wrappingToken: new Secret(token), mountPath: "auth/approle", roleName },
          signal(),
        );
      expect(await codeOf(unwrap("other"))).toBe("wrapping_foreign");
      const unwrapped = await unwrap();
      expect(unwrapped.uses).toBe(2);
      write("secret-id", unwrapped.secretId.expose());
      expect(await logIn(auth())).toBe("ok");
      expect(await codeOf(unwrap())).toBe("wrapping_token_unknown");
      transport.close();
    });
  });

  describe("cert, from files", () => {
    let ca: TestCa;
    beforeAll(async () => {
      ca = await makeTestCa({ commonName: "control plane CA" });
      const role = { allowed_common_names: ["control-plane-1"], token_ttl: "20m" };
      await provisionCertLogin(bao.operator, { caPem: ca.certPem, policyName: names.policyName }, role);
    });
    const present = async (from: TestCa, commonName = "control-plane-1"): Promise<void> => {
      const leaf = await from.client({ commonName, notAfter: new Date(Date.now() + 72 * 3_600_000) });
      write("chain.pem", leaf.chainPem);
      write("key.pem", leaf.keyPem);
    };
    const auth = (name = "kms"): object => ({
      method: "cert",
      cert: {
        mountPath: "auth/cert",
        name,
        source: "file",
        certificateFile: path("chain.pem"),
        privateKeyFile: path("key.pem"),
      },
    });

    test("logs in, also with an intermediate, and with a renewed certificate", async () => {
      await present(ca);
      expect(await logIn(auth())).toBe("ok");
      expect(await logIn(auth(""))).toBe("ok");
      await present(await ca.intermediate());
      expect(await logIn(auth())).toBe("ok");
    });

    test("each refusal has its code", async () => {
      await present(ca, "another-name");
      expect(await logIn(auth())).toBe("login_certificate_refused");
      await present(await makeTestCa());
      expect(await logIn(auth())).toBe("login_certificate_refused");
      await present(ca);
      expect(await logIn(auth("none"))).toBe("login_certificate_refused");
      write("key.pem", (await ca.client()).keyPem);
      expect(await logIn(auth())).toBe("certificate_key_mismatch");
    });
  });

  test("jwt from an OAuth2 authorization server", async () => {
    const resource = "https://openbao.test";
    const client = { clientId: "kms", clientSecret: "first-secret-of-the-client" };
    const server = await startAuthorizationServer({ ...client, authMethod: "client_secret_basic", resource });
    closers.push(server.stop);
    const role = jwtRole({ audience: resource, policyName: names.policyName });
    await provisionJwtLogin(bao.operator, "oauth", server.publicKeyPem, role);
    const auth = {
      method: "jwt",
      jwt: {
        source: "oauth2",
        mountPath: "auth/oauth",
        role: "kms",
        oauth2: {
          tokenUrl: server.tokenUrl,
          clientId: client.clientId,
          clientSecretFile: write("client-secret", "another-secret"),
          resources: [resource],
          caCertFile: write("issuer-ca.pem", server.caPem),
        },
      },
    };
    expect(await logIn(auth)).toBe("oauth2_invalid_client");
    write("client-secret", client.clientSecret);
    expect(await logIn(auth)).toBe("ok");
    await server.stop();
    expect(await logIn(auth)).toBe("oauth2_unreachable");
  });

  test("jwt from a SPIFFE agent, also after its key was rotated", async () => {
    const spiffeId = "spiffe://example.org/openbao-kms";
    const agent = await serveWorkloadApi(path("api.sock"), spiffeId);
    closers.push(agent.stop);
    const trust = (): Promise<unknown> =>
      bao.operator.must("POST", "auth/spiffe/config", { jwt_validation_pubkeys: [agent.publicKeyPem()] });
    const role = jwtRole({ audience: "openbao", policyName: names.policyName }, { bound_subject: spiffeId });
    await provisionJwtLogin(bao.operator, "spiffe", agent.publicKeyPem(), role);
    const auth = {
      method: "jwt",
      jwt: {
        source: "spiffe",
        mountPath: "auth/spiffe",
        role: "kms",
        spiffe: { socketPath: agent.socketPath, audience: "openbao", spiffeId },
      },
    };
    expect(await logIn(auth)).toBe("ok");
    agent.rotate();
    expect(await logIn(auth)).toBe("login_jwt_untrusted");
    await trust();
    expect(await logIn(auth)).toBe("ok");
  });
});
