/** @module `config`: the configuration that is in force. */
import { defineCommand } from "../../cli/command.ts";
import { jsonText } from "../../cli/output.ts";
import { configOption, outputOption, overrideOptions } from "../shared-options.ts";

export const configCommand = defineCommand({
  name: "config",
  summary: "Show the configuration in force and the origin of each value",
  description: [
    "Reads and checks the configuration as serve does, and prints each field with its origin: default, file, environment or flag. It makes no connection.",
    "The fingerprint stands for the identity of the key (provider, cluster, OpenBao instance, namespace, mount, lineage and key name) without revealing it. All nodes of one control plane show the same fingerprint.",
  ],
  options: { ...configOption, ...overrideOptions, ...outputOption },
  examples: ["config --config /etc/openbao-kms/config.yaml"],
  run: async (flags, context) => {
    const [{ loadConfiguration }, { fingerprint }, { configIdentity }] = await Promise.all([
      import("../configuration.ts"),
      import("../../key/identity/fingerprint.ts"),
      import("../../provider/registry.ts"),
    ]);
    const { config, path, fields } = await loadConfiguration(flags, context);
    const shown = fields.map(({ path: field, value, origin }) => ({
      field,
      // The role id is half of a credential.
      value: field === "auth.approle.roleId" ? "[set]" : value,
      origin,
    }));
    const mark = fingerprint(configIdentity(config));
    const { output } = context;
    if (flags.output === "json") {
      output.result(jsonText({ file: path, fingerprint: mark, fields: shown }));
      return "good";
    }
    const width = Math.max(...shown.map(({ field }) => field.length));
    const originWidth = "environment".length;
    output.result(
      [
        `file         ${path}`,
        `fingerprint  ${mark}`,
        "",
        ...shown.map(
          ({ field, value, origin }) =>
            `${field.padEnd(width)}  ${output.paint("dim", origin.padEnd(originWidth))}  ${JSON.stringify(value)}`,
        ),
        "",
      ].join("\n"),
    );
    return "good";
  },
});
