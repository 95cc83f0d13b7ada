/** @module `socket.group` and `socket.directory`: the rules of server/socket, asked on behalf of the service's user. */
import { dirname } from "node:path";
import { readMountPoints } from "../../../base/mount-points.ts";
import { checkBelowMountPoint } from "../../../base/volume-directory.ts";
import { lstatIfThere } from "../../../server/socket/bind-socket.ts";
import { checkSocketDirectory } from "../../../server/socket/socket-directory.ts";
import { resolveSocketGroup } from "../../../server/socket/socket-group.ts";
import { identityWarnings } from "../../../server/startup-warnings.ts";
import { warning, withAdvice } from "../../check.ts";
import type { DoctorCheck } from "../context.ts";

const ADVICE = {
  running_as_root: "run the service as its own user, as the packaged unit does",
  socket_group_is_primary_group: "create a separate group for the socket, and set server.socketGroup to it",
} as const;

export const socketGroup: DoctorCheck = {
  id: "socket.group",
  proves: "The socket's group exists and is not the service's own.",
  needs: ["config.validate"],
  whenFailed: "create the group, or set server.socketGroup to its number",
  run: async (context) => {
    const { socketGroup: group } = context.fact("loaded").config.server;
    const service = context.fact("service");
    const gid = await groupNumber(group, service.name);
    context.learn("socketGid", gid);
    return {
      detail: `${group} is gid ${gid}`,
      findings: identityWarnings({ uid: service.uid, gid: service.gid ?? -1 }, gid).map(({ code, message }) =>
        warning(code, message, ADVICE[code]),
      ),
    };
  },
};

async function groupNumber(group: string, user: string): Promise<number> {
  try {
    return await resolveSocketGroup(group);
  } catch (error) {
    throw withAdvice(
      error,
      "group_unknown",
      () => `groupadd --system ${group} && usermod -aG ${group} ${user}`,
    );
  }
}

export const socketDirectory: DoctorCheck = {
  id: "socket.directory",
  proves:
    "The directory of the socket belongs to the service and its group with mode 2750 or 2710, and no other user can replace it.",
  needs: ["socket.group"],
  whenFailed: "install -d -o openbao-kms -g openbao-kms-socket -m 2750 /run/openbao-kms",
  run: (context) => {
    const { socketPath, socketGroup: groupName, createDirectory } = context.fact("loaded").config.server;
    const service = context.fact("service");
    const directory = dirname(socketPath);
    const mountPoints = createDirectory ? readMountPoints() : undefined;
    if (mountPoints !== undefined && lstatIfThere(directory) === undefined) {
      checkBelowMountPoint({
        path: directory,
        field: "server.createDirectory",
        errorClass: "socket_unavailable",
        mountPoints,
      });
      return { detail: `${directory} (made at start)` };
    }
    checkSocketDirectory({
      directory,
      ownerUid: service.uid,
      groupGid: context.fact("socketGid"),
      ownerName: service.name,
      groupName,
      mountPoints,
    });
    return { detail: directory };
  },
};
