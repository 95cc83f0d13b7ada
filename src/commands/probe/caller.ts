/** @module The permissions with which the socket is reached, and what they cannot prove. */
import { statSync } from "node:fs";

interface Caller {
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
      "this probe ran as root and does not prove that kube-apiserver's user may connect; use --as-apiserver, or sudo -u that user",
    ];
  }
  return ownerOf(socketPath) === uid
    ? [
        "this probe ran as the socket's owner and does not prove that kube-apiserver's user may connect; as root, use --as-apiserver",
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
