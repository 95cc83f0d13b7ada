/** @module The declaration of `doctor`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { text } from "../../cli/option.ts";
import { configOption, outputOption } from "../shared-options.ts";

export const doctorCommand = {
  name: "doctor",
  summary: "Check configuration, machine, OpenBao, key and EncryptionConfiguration",
  description: [
    "Runs all checks in order and prints a fix for each failure. A check is skipped when a check that it needs has failed; a skipped check has not passed.",
    "Checks permissions for the service's user, also in a root shell: the owner of the state directory, or --service-user. It does not disturb a running provider: it takes no lock, writes no state, and revokes its own token.",
  ],
  options: {
    ...configOption,
    "encryption-config": text("FILE", "Also check this EncryptionConfiguration of kube-apiserver"),
    "previous-encryption-config": text(
      "FILE",
      "The EncryptionConfiguration before it: fails when a reader would disappear",
    ),
    "expect-fingerprint": text(
      "FINGERPRINT",
      "The fingerprint that another node of this control plane shows",
    ),
    "service-user": text("USER", "The service's user, by name or number"),
    ...outputOption,
  },
  examples: [
    "doctor --config /etc/openbao-kms/config.yaml",
    "doctor --config config.yaml --encryption-config encryption-config.yaml",
  ],
} as const satisfies Declaration;

export type DoctorFlags = FlagsOf<typeof doctorCommand>;
