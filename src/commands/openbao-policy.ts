/** @module The least-privilege policy, as rows and as HCL. */
import { type ProviderConfig, relativeNamespace } from "../config/schema.ts";

interface PolicyRequest {
  /** The key's namespace below the token's, when they are two. */
  readonly keyNamespace?: string;
  readonly mountPath: string;
  readonly keyName: string;
  /** Whether the token's own paths are included; without them the default policy has to allow them. */
  readonly includeTokenRenewal: boolean;
  /** The AppRole with which the provider logs in, below its mount: its secret id may then be looked at. */
  readonly appRole?: { readonly mountPath: string; readonly name: string } | undefined;
}

/** The schema has checked that one namespace is in the other. */
export function keyNamespaceOf({ openbao, auth }: ProviderConfig): string {
  return relativeNamespace(openbao.namespace, auth.namespace) ?? "";
}

/** What the provider calls, and nothing else. Paths are below `/v1/` and without the namespace. */
export function policyRows({
  keyNamespace = "",
  mountPath: mountInNamespace,
  keyName,
  includeTokenRenewal,
  appRole,
}: PolicyRequest) {
  const below = keyNamespace === "" ? "" : `${keyNamespace}/`;
  const mountPath = `${below}${mountInNamespace}`;
  const row = (path: string, capability: "read" | "update", why: string) => ({ path, capability, why });
  return [
    row(`${mountPath}/keys/${keyName}`, "read", "versions and profile of the key"),
    row(`${mountPath}/config/keys`, "read", "proof that encrypting cannot create keys (disable_upsert)"),
    row(`${mountPath}/encrypt/${keyName}`, "update", "encrypt"),
    row(`${mountPath}/decrypt/${keyName}`, "update", "decrypt"),
    ...(includeTokenRenewal
      ? [
          row("auth/token/renew-self", "update", "renew the token before it expires"),
          row("auth/token/lookup-self", "read", "read the token's lifetime"),
          row("auth/token/revoke-self", "update", "give the token back on shutdown"),
          row(
            `${below}sys/capabilities-self`,
            "update",
            "doctor: show that the token can do this and no more",
          ),
        ]
      : []),
    ...(appRole === undefined
      ? []
      : [
          row(
            `${appRole.mountPath}/role/${appRole.name}/secret-id/lookup`,
            "update",
            "read when its secret id expires; only a caller that has the secret id gets an answer",
          ),
        ]),
  ];
}

/** HCL for `bao policy write`. Mount and key name are checked by the configuration's schema to need no quoting. */
export function openbaoPolicy(request: PolicyRequest): string {
  return policyRows(request)
    .map(({ path, capability, why }) => `# ${why}\npath "${path}" {\n  capabilities = ["${capability}"]\n}\n`)
    .join("\n");
}
