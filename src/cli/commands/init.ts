/**
 * `init`: everything that one node needs, from one values file.
 *
 * @module Description, reading of the two input files, and the summary; the files are planned and written in cli/init/.
 */
import { defineCommand } from "../command.ts";

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
  run: async (flags, { output }) => {
    const [
      { readSafeFile },
      { MAX_CONFIG_BYTES },
      encryption,
      { planInstallation },
      { systemRandom },
      write,
      errors,
    ] = await Promise.all([
      import("../../base/safe-file.ts"),
      import("../../config/decode-config.ts"),
      import("../../doctor/kubernetes/encryption-config.ts"),
      import("../init/installation.ts"),
      import("../init/values.ts"),
      import("../init/write-files.ts"),
      import("../init/errors.ts"),
    ]);
    const { values, out } = flags;
    if (values === undefined || out === undefined) {
      throw new errors.InitError(
        "options_conflict",
        `${values === undefined ? "--values" : "--out"}: missing`,
        "see: bao-kms-provider init --help",
      );
    }
    const read = async (path: string, field: string, what: string, secret: boolean, maxBytes: number) => {
      const serviceUid = process.getuid?.() ?? 0;
      return (
        await readSafeFile(path, { what, field, maxBytes, secret, serviceUid, errorClass: "config_invalid" })
      ).bytes;
    };
    const currentFile = flags["current-encryption-config"];
    const current =
      currentFile === undefined
        ? undefined
        : encryption.decodeEncryptionConfig(
            await read(
              currentFile,
              "--current-encryption-config",
              "the EncryptionConfiguration",
              true,
              encryption.MAX_ENCRYPTION_CONFIG_BYTES,
            ),
            currentFile,
          );
    const { files, fingerprint } = planInstallation({
      values: {
        bytes: await read(values, "--values", "the values file", false, MAX_CONFIG_BYTES),
        file: values,
      },
      model: flags.model,
      isNewKey: flags["new-key"],
      current,
      policyName: flags["policy-name"],
      image: flags.image,
      socketGid: flags["socket-gid"],
      random: systemRandom,
    });
    await write.writeFiles(out, files);
    output.result(
      [
        ...files.map(({ name }) => `${out}/${name}`),
        "",
        `fingerprint  ${fingerprint}   (the same on every node of this control plane)`,
        "",
        "Next:",
        `  1. ${out}/openbao-setup.sh            once, with an OpenBao administrator's token`,
        `  2. install ${out}/config.yaml as /etc/openbao-kms/config.yaml on this node, and start the provider`,
        "  3. bao-kms-provider doctor --config /etc/openbao-kms/config.yaml",
        `  4. ${out}/encryption-config-readers.yaml on all control-plane nodes, then encryption-config.yaml on all`,
        "",
      ].join("\n"),
    );
    return "good";
  },
});
