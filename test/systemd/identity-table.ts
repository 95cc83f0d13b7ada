/** @module Owners and modes of the Linux identity model, as a table. Names are parameters: a distribution may choose others. */
export interface Names {
  readonly user: string;
  readonly group: string;
  readonly socketGroup: string;
}

export const defaultNames: Names = {
  user: "openbao-kms",
  group: "openbao-kms",
  socketGroup: "openbao-kms-socket",
};

export type PermissionRow = readonly [path: string, owner: string, mode: string];

/** What installing makes. */
export function directoryTable({ user, group, socketGroup }: Names): readonly PermissionRow[] {
  return [
    // root:openbao-kms and not root:root: the service must reach its own configuration.
    ["/etc/openbao-kms", `root:${group}`, "750"],
    ["/etc/openbao-kms/tls", "root:root", "755"],
    ["/etc/openbao-kms/client", `root:${group}`, "750"],
    ["/etc/openbao-kms/pkcs11", `root:${group}`, "750"],
    ["/var/lib/openbao-kms", `${user}:${group}`, "750"],
    ["/var/lib/openbao-kms/state", `${user}:${group}`, "750"],
    ["/run/openbao-kms", `${user}:${socketGroup}`, "2750"],
  ];
}

/** What the operator and the running service add. */
export function fileTable({ user, group, socketGroup }: Names): readonly PermissionRow[] {
  return [
    ["/etc/openbao-kms/config.yaml", `root:${group}`, "640"],
    ["/etc/openbao-kms/tls/ca.crt", "root:root", "644"],
    ["/var/lib/openbao-kms/identity.jwt", `root:${group}`, "640"],
    ["/etc/openbao-kms/client/client-chain.pem", `root:${group}`, "640"],
    ["/etc/openbao-kms/pkcs11/pin", `root:${group}`, "640"],
    ["/run/openbao-kms/kms.sock", `${user}:${socketGroup}`, "660"],
  ];
}

/** What there is at the paths of `rows`; `must` runs a command on the machine. */
export async function permissionsAt(
  { must }: { readonly must: (command: string) => Promise<string> },
  rows: readonly PermissionRow[],
): Promise<readonly (readonly string[])[]> {
  const output = await must(`stat --format='%n %U:%G %a' ${rows.map(([path]) => path).join(" ")}`);
  return output.split("\n").map((line) => line.split(" "));
}
