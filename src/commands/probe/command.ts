/** @module The declaration of `probe`. */
import type { Declaration, FlagsOf } from "../../cli/command.ts";
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
    socket: {
      kind: "text",
      placeholder: "SOCKET",
      default: "/run/openbao-kms/kms.sock",
      description: "The socket",
    },
    timeout: {
      kind: "duration",
      placeholder: "D",
      defaultMs: 3000,
      maxMs: 60_000,
      description: "Timeout of each call, including the connection",
    },
    "expected-key-id": {
      kind: "text",
      placeholder: "ID",
      description: "Fails when Status shows another key_id",
    },
    "wait-socket": {
      kind: "duration",
      placeholder: "D",
      maxMs: 3_600_000,
      description: "Wait until the socket answers and the provider has read the key, at most this long",
    },
    "while-process": {
      kind: "count",
      placeholder: "PID",
      min: 1,
      max: 4_194_304,
      description: "Stop waiting when this process ends",
    },
    config: {
      kind: "text",
      placeholder: "FILE",
      description: "Add the removed versions of this node's registry to the JSON; not with --as-apiserver",
    },
    "as-apiserver": { kind: "flag", description: "Probe with the uid, gid and groups of kube-apiserver" },
    "apiserver-pid": {
      kind: "count",
      placeholder: "PID",
      min: 1,
      max: 4_194_304,
      description: "The process for --as-apiserver, when several run kube-apiserver",
    },
    compare: {
      kind: "list",
      placeholder: "FILE",
      description: "Only compare reports of several nodes: do all show the same key_id?",
    },
    ...outputOption,
  },
  examples: [
    "probe",
    "probe --compare node-1.json node-2.json node-3.json",
    "probe --wait-socket 20s --as-apiserver",
  ],
} as const satisfies Declaration;

export type ProbeFlags = FlagsOf<typeof probeCommand>;
