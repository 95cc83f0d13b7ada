/** @module The kubeconfig of a cluster's administrator, as kubeadm writes it. */
import type { Leaf } from "../fakes/tls/test-ca.ts";

export interface AdminAccess {
  readonly address: string;
  readonly caPem: string;
  readonly admin: Leaf;
}

export function adminKubeconfig({ address, caPem, admin }: AdminAccess): string {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const cluster = { server: address, "certificate-authority-data": base64(caPem) };
  const user = {
    "client-certificate-data": base64(admin.certPem),
    "client-key-data": base64(admin.keyPem),
  };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user }],
  });
}
