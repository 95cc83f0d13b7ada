/**
 * `init`: everything that one node needs, from one values file.
 *
 * @module Description and options; the work is in actions/init.ts.
 */
import { defineCommand } from "../../cli/command.ts";

export const initCommand = defineCommand({
  name: "init",
  summary: "Make all files of an installation from one values file",
  description: [
    "Writes config.yaml, both EncryptionConfiguration files, the OpenBao policy and setup script, the manifest of a static pod, and installation.json into a new directory: all of them, or none. Contacts nothing and overwrites nothing.",
    "The values file is a configuration file, checked as serve checks it. Give --new-key once, for the first node of a cluster; further nodes take the first node's config.yaml as their values.",
    "A cluster that encrypts already gives its EncryptionConfiguration, so that each provider in force stays a reader in both phases.",
  ],
  options: {
    values: { kind: "text", placeholder: "FILE", description: "The values: a configuration file" },
    out: { kind: "text", placeholder: "DIR", description: "A directory that is absent or empty" },
    model: {
      kind: "choice",
      placeholder: "MODEL",
      choices: ["systemd", "static-pod"],
      default: "systemd",
      description: "How the provider is run",
    },
    "new-key": {
      kind: "flag",
      description: "The first node of a cluster: name a new key and let the script make it",
    },
    "current-encryption-config": {
      kind: "text",
      placeholder: "FILE",
      description: "The EncryptionConfiguration that kube-apiserver runs with now",
    },
    "policy-name": {
      kind: "text",
      placeholder: "NAME",
      default: "openbao-kms",
      description: "The name of the policy in OpenBao",
    },
    image: {
      kind: "text",
      placeholder: "IMAGE",
      description: "Static pod: the image by digest, REF@sha256:…",
    },
    "socket-gid": {
      kind: "count",
      placeholder: "GID",
      min: 1,
      max: 4_294_967_294,
      description: "In place of server.socketGroup: the group's number on this host",
    },
  },
  examples: [
    "init --values values.yaml --out node-1 --new-key",
    "init --values node-1/config.yaml --out node-2",
  ],
  run: async (flags, context) => {
    const { init } = await import("./run.ts");
    return init(flags, context);
  },
});
