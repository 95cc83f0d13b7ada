/** Credentials that systemd keeps encrypted with the host's key, on a machine without a TPM. The PIN: pkcs11-token.test.ts. */
import { afterAll, expect, test } from "bun:test";
import { type AuthorizationServer, startAuthorizationServer } from "../fakes/oauth2/authorization-server.ts";
import { textAt } from "../fakes/openbao/json-at.ts";
import { DEFAULT_PROVISIONING, jwtRole, provisionJwtLogin } from "../fakes/openbao/provision.ts";
import { encryptCredential, paths, unit } from "./provider-machine.ts";
import { describeUnit, dropIns, examples, type UnitMachine } from "./unit-machine.ts";

const { policyName } = DEFAULT_PROVISIONING;
const oauth = { clientId: "kms", clientSecret: "the-secret-of-the-client", resource: "https://openbao.test" };

interface Login {
  readonly credential: string;
  /** The fields besides the credential's path. */
  readonly fields: Readonly<Record<string, string | readonly string[]>>;
}

describeUnit("unit: LoadCredentialEncrypted=", (on) => {
  let issuer: AuthorizationServer | undefined;
  afterAll(() => issuer?.stop());

  const jwt = async (): Promise<Login> => ({
    credential: await on.machine.must(`cat ${paths.jwt}; rm ${paths.jwt}`),
    fields: {},
  });
  const secretId = async ({ host }: UnitMachine): Promise<Login> => {
    const { operator } = host.openbao;
    await operator.must("POST", "sys/auth/approle", { type: "approle" });
    const role = "auth/approle/role/kms";
    await operator.must("POST", role, { token_policies: [policyName], token_ttl: "20m" });
    const id = await operator.must("GET", `${role}/role-id`);
    const secret = await operator.must("POST", `${role}/secret-id`, {});
    return {
      credential: textAt(secret, "data", "secret_id"),
      fields: {
        "auth.method": "approle",
        "auth.approle.mountPath": "auth/approle",
        "auth.approle.roleId": textAt(id, "data", "role_id"),
      },
    };
  };
  const clientSecret = async ({ host }: UnitMachine): Promise<Login> => {
    issuer = await startAuthorizationServer({ ...oauth, authMethod: "client_secret_basic" });
    const role = jwtRole({ audience: oauth.resource, policyName });
    await provisionJwtLogin(host.openbao.operator, "oauth", issuer.publicKeyPem, role);
    await host.place("/etc/openbao-kms/tls/issuer.crt", issuer.caPem);
    return {
      credential: oauth.clientSecret,
      fields: {
        "auth.jwt.source": "oauth2",
        "auth.jwt.mountPath": "auth/oauth",
        "auth.jwt.role": "kms",
        "auth.jwt.oauth2.tokenUrl": issuer.tokenUrl,
        "auth.jwt.oauth2.clientId": oauth.clientId,
        "auth.jwt.oauth2.resources": [oauth.resource],
        "auth.jwt.oauth2.caCertFile": "/etc/openbao-kms/tls/issuer.crt",
      },
    };
  };

  test.each([
    ["jwt", "auth.jwt.jwtFile", jwt],
    ["secret-id", "auth.approle.secretIdFile", secretId],
    ["client-secret", "auth.jwt.oauth2.clientSecretFile", clientSecret],
  ] as const)(
    "the provider logs in with a %s that is on the disk only encrypted",
    async (name, field, prepare) => {
      const { credential, fields } = await prepare(on);
      await encryptCredential(on.machine, name, credential);
      await on.machine.must(
        `install -m 0644 -D ${examples}/drop-ins/encrypted-${name}.conf ${dropIns}/50-credential.conf
       systemctl daemon-reload`,
      );
      await on.host.configure({ ...fields, [field]: `/run/credentials/${unit}/${name}` });
      await on.start();
      await on.encrypts();
      await on.roundTrip();
      expect(await on.machine.must(`stat -c %a /run/credentials/${unit}/${name}`)).toMatch(/^4[04]0\s*$/);
      expect((await on.machine.sh(`grep -rlF '${credential}' /etc /var/lib`)).stdout).toBe("");
      expect(await on.host.journal()).not.toContain(credential);
      await on.stop();
      await on.undoDropIn("50-credential.conf");
    },
  );
});
