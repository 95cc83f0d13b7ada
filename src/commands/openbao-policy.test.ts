import { describe, expect, test } from "bun:test";
import { configFile } from "../../test/fakes/config-file.ts";
import { decodeConfig } from "../config/decode-config.ts";
import { setupScript } from "./init/setup-script.ts";
import { keyNamespaceOf, openbaoPolicy, policyRows } from "./openbao-policy.ts";

const KEY = { mountPath: "transit", keyName: "etcd", includeTokenRenewal: true };

describe("a policy of the token's namespace", () => {
  test("names the key below it, and the token's own paths in it", () => {
    const pathsOf = (keyNamespace: string): readonly string[] =>
      policyRows({ ...KEY, keyNamespace, appRole: { mountPath: "auth/approle", name: "r" } }).map(
        ({ path }) => path,
      );
    const one = pathsOf("");
    const ofKey = new Set([
      "transit/keys/etcd",
      "transit/config/keys",
      "transit/encrypt/etcd",
      "transit/decrypt/etcd",
      "sys/capabilities-self",
    ]);
    expect(pathsOf("kms/a")).toEqual(one.map((path) => (ofKey.has(path) ? `kms/a/${path}` : path)));
    expect(one.filter((path) => ofKey.has(path))).toHaveLength(ofKey.size);
  });

  test("the set-up script makes the key in one namespace, policy and role in the other", () => {
    const text = configFile((fields) => ({
      ...fields,
      openbao: { ...fields.openbao, namespace: "infra/kms" },
      auth: {
        method: "approle",
        namespace: "infra",
        approle: { mountPath: "auth/approle", roleIdFile: "/r", secretIdFile: "/s" },
      },
    }));
    const { config } = decodeConfig(Buffer.from(text), "values");
    const policy = openbaoPolicy({ ...KEY, keyNamespace: keyNamespaceOf(config) });
    const script = setupScript(config, "p", policy, true);
    const order = [
      "export BAO_NAMESPACE='infra/kms'",
      "# --- Transit key",
      "export BAO_NAMESPACE='infra' ",
      'path "kms/transit/encrypt/etcd"',
      "/role/p",
    ].map((each) => script.indexOf(each));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order).not.toContain(-1);
  });
});
