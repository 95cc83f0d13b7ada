/** @module The declaration of `probe`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
import { count, duration, flag, list, text } from "../../cli/option.ts";
import { outputOption } from "../shared-options.ts";

export const probeCommand = {
  name: "probe",
  summary: "Call Status, Encrypt and Decrypt through the running socket",
  description: [
    "Calls the provider with the permissions of the user who runs it and with fresh random bytes. It needs no configuration and no credentials. It distinguishes a missing socket from one that this user may not connect to.",
    "--as-apiserver, run by root, finds the kube-apiserver process of this machine, probes with its uid, gid and groups, and names what this cannot prove. A process counts only when root alone can replace its executable, whatever its name.",
    "Other commands read the JSON report as the report of a node. --compare reads several reports, calls nothing, and fails when they show more than one key_id.",
  ],
  options: {
    socket: { ...text("SOCKET", "The socket"), default: "/run/openbao-kms/kms.sock" },
    timeout: { ...duration("Timeout of each call, including the connection", 60_000), default: 3000 },
    "expected-key-id": text("ID", "Fails when Status shows another key_id"),
    "wait-socket": duration(
      "Wait until the socket answers and the provider has read the key, at most this long",
      3_600_000,
    ),
    "while-process": count("PID", "Stop waiting when this process ends", 1, 4_194_304),
    config: text(
      "FILE",
      "Add the removed versions of this node's registry to the JSON; not with --as-apiserver",
    ),
    "as-apiserver": flag("Probe with the uid, gid and groups of kube-apiserver"),
    "apiserver-pid": count(
      "PID",
      "The process for --as-apiserver, when several run kube-apiserver",
      1,
      4_194_304,
    ),
    compare: list("FILE", "Only compare reports of several nodes: do all show the same key_id?"),
    ...outputOption,
  },
  examples: [
    "probe",
    "probe --compare node-1.json node-2.json node-3.json",
    "probe --wait-socket 20s --as-apiserver",
  ],
} as const satisfies Declaration;

export type ProbeFlags = FlagsOf<typeof probeCommand>;
