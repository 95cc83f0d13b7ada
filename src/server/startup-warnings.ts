/** @module What is allowed and still worth a warning at start. What is forbidden is in socket-directory.ts. */

/** The warnings about the identity that the provider runs as, each with the sentence for the operator. */
export function identityWarnings(
  { uid, gid }: { readonly uid: number; readonly gid: number },
  socketGroupGid: number,
) {
  const asRoot = {
    code: "running_as_root",
    message: "the provider runs as root; run it as its own user, as the packaged unit does",
  } as const;
  const withSocketGroup = {
    code: "socket_group_is_primary_group",
    message:
      "server.socketGroup is the provider's primary group, so every user who may connect may also read what that group can read; use a separate group",
  } as const;
  return [...(uid === 0 ? [asRoot] : []), ...(gid === socketGroupGid ? [withSocketGroup] : [])];
}
