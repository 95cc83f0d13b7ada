/** @module What is allowed and still worth a warning at start. What is forbidden is in socket-directory.ts. */

type IdentityWarning = "running_as_root" | "socket_group_is_primary_group";

interface ProcessIdentity {
  readonly uid: number;
  readonly gid: number;
}

/** The warnings about the identity that the provider runs as, each with the sentence for the operator. */
export function identityWarnings(
  { uid, gid }: ProcessIdentity,
  socketGroupGid: number,
): readonly { readonly code: IdentityWarning; readonly message: string }[] {
  return [
    ...(uid === 0
      ? [
          {
            code: "running_as_root" as const,
            message: "the provider runs as root; run it as its own user, as the packaged unit does",
          },
        ]
      : []),
    ...(gid === socketGroupGid
      ? [
          {
            code: "socket_group_is_primary_group" as const,
            message:
              "server.socketGroup is the provider's primary group, so every user who may connect may also read what that group can read; use a separate group",
          },
        ]
      : []),
  ];
}
