/** @module `server`: the socket that kube-apiserver calls, and the two plain HTTP addresses. */
import * as v from "valibot";
import { listenAddress } from "../address-types.ts";
import { count, flagOr, groupName, socketMode, socketPath } from "../field-types.ts";

/** The bounds are MAX_WAITING in kms/admission.ts. */
const waiting = (calls: number): string =>
  `Up to ${calls} more wait within their deadline, and each connection has its turn. Only above that is a call answered RESOURCE_EXHAUSTED: one of the connection with the most calls that wait.`;

/** What happens to the calls above a cap. */
const ABOVE_THE_CAP = {
  Status: "Status is answered from memory, so none ever waits.",
  Encrypt: waiting(256),
  Decrypt: `Identical calls of one connection count once. ${waiting(1024)}`,
} as const;

const concurrency = (call: keyof typeof ABOVE_THE_CAP, fallback: number) =>
  v.optional(
    count(`How many ${call} calls run at the same time. ${ABOVE_THE_CAP[call]}`, { min: 1, max: 4096 }),
    fallback,
  );

export const serverSection = v.strictObject({
  socketPath: v.optional(
    socketPath(
      "The Unix socket. Its directory must exist, belong to the service's user and socketGroup, and have mode 2750 or 2710.",
    ),
    "/run/openbao-kms/kms.sock",
  ),
  createDirectory: flagOr(
    false,
    "Whether the provider makes the socket's directory at start, with socketGroup and mode 2750. Only directly below a mount point, for a volume that a pod shares with kube-apiserver (sidecar).",
  ),
  socketMode: v.optional(socketMode("The socket's mode, as octal text. Others never get access."), "0660"),
  socketGroup: groupName(
    "The group whose members may connect: kube-apiserver is one. Not the service's own primary group. Static pods need the number.",
    { example: "openbao-kms-socket" },
  ),
  metricsAddress: v.optional(
    listenAddress("Where /metrics is served. Anything but loopback is allowed and warned about."),
    "127.0.0.1:8081",
  ),
  healthAddress: v.optional(
    listenAddress("Where /live and /ready are served. Anything but loopback is allowed and warned about."),
    "127.0.0.1:8082",
  ),
  maxConcurrentStatus: concurrency("Status", 16),
  maxConcurrentEncrypt: concurrency("Encrypt", 32),
  maxConcurrentDecrypt: concurrency("Decrypt", 64),
});
