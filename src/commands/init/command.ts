/** @module The declaration of `init`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { choice, count, flag, text } from "../../cli/option.ts";

export const initCommand = {
  name: "init",
  summary: "Generate all files of an installation from one values file",
  description: [
    "Writes config.yaml, both EncryptionConfiguration files, the OpenBao policy and setup script, kubeadm's settings, the manifest of a static pod or a KubeadmControlPlane, and installation.json into a new directory: all of them, or none. Makes no connection and overwrites nothing.",
    "The values file is a configuration file, checked as serve checks it. Where nodes differ, for example in auth.jwt.expectedSubject and auth.jwt.role, write {node} and give --node.",
    "Give --new-key once, for the first node of a cluster. It writes a values.yaml with the name of the key: the values file of the further nodes. Without --node, use the first node's config.yaml.",
    "For a cluster that already encrypts, give its EncryptionConfiguration, so that each provider in use stays a reader in both phases.",
  ],
  options: {
    values: text("FILE", "The values: a configuration file"),
    out: text("DIR", "A directory that is absent or empty"),
    model: choice("MODEL", ["systemd", "static-pod", "cluster-api"], "How the provider runs"),
    node: text("NAME", "The node's name, which replaces {node} in the values"),
    "new-key": flag("For the first node of a cluster: name a new key and let the script create it"),
    "current-encryption-config": text("FILE", "The EncryptionConfiguration that kube-apiserver uses"),
    "policy-name": { ...text("NAME", "The name of the policy in OpenBao"), default: "openbao-kms" },
    image: text("IMAGE", "Static pod and Cluster API: the image by digest, REF@sha256:…"),
    "socket-gid": count(
      "GID",
      "Overrides server.socketGroup: the group's number on this host",
      1,
      4_294_967_294,
    ),
  },
  examples: [
    "init --values values.yaml --node cp-1 --out cp-1 --new-key",
    "init --values cp-1/values.yaml --node cp-2 --out cp-2",
    "init --values values.yaml --out cp --model cluster-api --image REF@sha256:…",
  ],
} as const satisfies Declaration;

export type InitFlags = FlagsOf<typeof initCommand>;
