/** @module `init`: reads its two input files, writes the installation, and prints the next steps. */
import type { CommandContext } from "../../cli/command.ts";
import type { ExitName } from "../../cli/exit-code.ts";
import { UsageError } from "../../cli/usage-error.ts";
import { MAX_CONFIG_BYTES } from "../../config/decode-config.ts";
import { decodeEncryptionConfig } from "../../kubernetes/encryption-config/decode.ts";
import { MAX_ENCRYPTION_CONFIG_BYTES } from "../../kubernetes/encryption-config/file-tree.ts";
import type { EncryptionConfig } from "../../kubernetes/encryption-config/types.ts";
import { readInputFile } from "../input-file.ts";
import type { InitFlags } from "./command.ts";
import { type Installation, planInstallation } from "./installation.ts";
import { nextSteps } from "./next-steps.ts";
import { systemRandom } from "./values.ts";
import { writeFiles } from "./write-files.ts";

export async function init(flags: InitFlags, { output }: CommandContext): Promise<ExitName> {
  const values = required(flags.values, "--values");
  const out = required(flags.out, "--out");
  const installation = planInstallation({
    values: { bytes: await readValues(values), file: values },
    model: flags.model,
    isNewKey: flags["new-key"],
    node: flags.node,
    current: await readCurrent(flags["current-encryption-config"]),
    policyName: flags["policy-name"],
    image: flags.image,
    socketGid: flags["socket-gid"],
    random: systemRandom,
  });
  await writeFiles(out, installation.files);
  output.result(summary(out, installation, flags));
  return "good";
}

function required(value: string | undefined, flag: string): string {
  if (value === undefined) {
    throw new UsageError(`${flag} is missing`, `give ${flag}`);
  }
  return value;
}

async function readValues(path: string): Promise<Uint8Array> {
  return readInputFile(path, {
    what: "the values file",
    field: "--values",
    maxBytes: MAX_CONFIG_BYTES,
    secret: false,
  });
}

async function readCurrent(path: string | undefined): Promise<EncryptionConfig | undefined> {
  if (path === undefined) {
    return undefined;
  }
  const bytes = await readInputFile(path, {
    what: "the EncryptionConfiguration",
    field: "--current-encryption-config",
    maxBytes: MAX_ENCRYPTION_CONFIG_BYTES,
    secret: true,
  });
  return decodeEncryptionConfig(bytes, path);
}

function summary(out: string, { files, config, fingerprint }: Installation, flags: InitFlags): string {
  const steps = nextSteps({ out, config, model: flags.model, isNewKey: flags["new-key"], node: flags.node });
  return [
    ...files.map(({ name }) => `${out}/${name}`),
    "",
    `fingerprint  ${fingerprint}   (the same on every node of this control plane)`,
    "",
    "Next:",
    ...steps.map((step, index) => `  ${index + 1}. ${step}`),
    "",
  ].join("\n");
}
