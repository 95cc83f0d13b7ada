/** @module With whose permissions the socket is reached, and what that leaves unproven. */
import { statSync } from "node:fs";

export interface Caller {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

export function currentCaller(): Caller {
  return {
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    groups: [...(process.getgroups?.() ?? [])].sort((left, right) => left - right),
  };
}

/** What a probe by this caller cannot prove, each as a sentence with what to do instead. */
export function unprovenBy({ uid }: Caller, socketPath: string): readonly string[] {
  if (uid === 0) {
    return [
      "run as root: that kube-apiserver's user may connect is not proven; use --as-apiserver, or sudo -u that user",
    ];
  }
  return ownerOf(socketPath) === uid
    ? [
        "run as the socket's owner: that kube-apiserver's user may connect is not proven; use sudo -u that user",
      ]
    : [];
}

function ownerOf(path: string): number | undefined {
  try {
    return statSync(path).uid;
  } catch {
    return undefined;
  }
}
