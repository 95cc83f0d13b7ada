/**
 * `doctor`: everything that can be checked before kube-apiserver depends on it.
 *
 * @module Description and options.
 */
import { defineCommand } from "../../cli/command.ts";
import type { ValuesOf } from "../../cli/option.ts";
import { configOption, outputOption } from "../shared-options.ts";

const doctorOptions = {
  ...configOption,
  "encryption-config": {
    kind: "text",
    placeholder: "FILE",
    description: "kube-apiserver's EncryptionConfiguration, to be checked too",
  },
  "previous-encryption-config": {
    kind: "text",
    placeholder: "FILE",
    description: "The one before it: fails when a reader would disappear",
  },
  "expect-fingerprint": {
    kind: "text",
    placeholder: "FINGERPRINT",
    description: "What another node of this control plane shows",
  },
  "service-user": {
    kind: "text",
    placeholder: "USER",
    description: "The user that the service runs as, by name or number",
  },
  ...outputOption,
} as const;

export type DoctorFlags = ValuesOf<typeof doctorOptions>;

export const doctorCommand = defineCommand({
  name: "doctor",
  summary: "Check configuration, machine, OpenBao, key and EncryptionConfiguration",
  description: [
    "Runs all checks in order and prints for each failure what to do. A check is skipped when one that it needs has failed; skipped is not passed.",
    "Checks permissions for the user that the service runs as, also in a root shell: the owner of the state directory, or --service-user. It does not disturb a running provider: it takes no lock, writes no state, and revokes the token that it uses.",
  ],
  options: doctorOptions,
  examples: [
    "doctor --config /etc/openbao-kms/config.yaml",
    "doctor --config config.yaml --encryption-config encryption-config.yaml",
  ],
  run: async (flags, context) => {
    const { doctor } = await import("./run.ts");
    return doctor(flags, context);
  },
});
