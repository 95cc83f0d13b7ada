/**
 * `doctor`: everything that can be checked before kube-apiserver depends on it.
 *
 * @module Description and options; the work is in actions/doctor.ts.
 */
import { defineCommand } from "../../cli/command.ts";
import { configOption, outputOption } from "../shared-options.ts";

export const doctorCommand = defineCommand({
  name: "doctor",
  summary: "Check configuration, machine, OpenBao, key and EncryptionConfiguration",
  description: [
    "Runs all checks in order and says for each failure what to do. A check whose prerequisite failed is skipped, and skipped is not passed.",
    "Judges for the user that the service runs as, which is the owner of the state directory unless --service-user names another, also when it is typed in a root shell. Works beside a running provider without disturbing it: it takes no lock, writes no state, and uses a token of its own, which it revokes.",
  ],
  options: {
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
  },
  examples: [
    "doctor --config /etc/openbao-kms/config.yaml",
    "doctor --config config.yaml --encryption-config encryption-config.yaml",
  ],
  run: async (flags, context) => {
    const { doctor } = await import("./run.ts");
    return doctor(flags, context);
  },
});
