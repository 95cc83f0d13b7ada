/** @module The least-privilege policy, as rows and as HCL. */
import { type ProviderConfig, relativeNamespace } from "../config/schema.ts";

interface PolicyRow {
  readonly path: string;
  readonly capability: "read" | "update";
  readonly why: string;
}

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
}: PolicyRequest): readonly PolicyRow[] {
  const below = keyNamespace === "" ? "" : `${keyNamespace}/`;
  const mountPath = `${below}${mountInNamespace}`;
  return [
    { path: `${mountPath}/keys/${keyName}`, capability: "read", why: "versions and profile of the key" },
    {
      path: `${mountPath}/config/keys`,
      capability: "read",
      why: "proof that encrypting cannot create keys (disable_upsert)",
    },
    { path: `${mountPath}/encrypt/${keyName}`, capability: "update", why: "encrypt" },
    { path: `${mountPath}/decrypt/${keyName}`, capability: "update", why: "decrypt" },
    ...(includeTokenRenewal
      ? ([
          { path: "auth/token/renew-self", capability: "update", why: "renew the token before it expires" },
          { path: "auth/token/lookup-self", capability: "read", why: "read the token's lifetime" },
          { path: "auth/token/revoke-self", capability: "update", why: "give the token back on shutdown" },
          {
            path: `${below}sys/capabilities-self`,
            capability: "update",
            why: "doctor: show that the token can do this and no more",
          },
        ] as const)
      : []),
    ...(appRole === undefined
      ? []
      : ([
          {
            path: `${appRole.mountPath}/role/${appRole.name}/secret-id/lookup`,
            capability: "update",
            why: "read when its secret id expires; only a caller that has the secret id gets an answer",
          },
        ] as const)),
  ];
}

/** HCL for `bao policy write`. Mount and key name are checked by the configuration's schema to need no quoting. */
export function openbaoPolicy(request: PolicyRequest): string {
  return policyRows(request)
    .map(({ path, capability, why }) => `# ${why}\npath "${path}" {\n  capabilities = ["${capability}"]\n}\n`)
    .join("\n");
}
