/** @module What can be wrong with a socket, its directory or an address to listen on. */
import { ProviderError } from "../base/error-class.ts";
import type { VolumeDirectoryCode } from "../base/volume-directory.ts";

export type ServerCode =
  | VolumeDirectoryCode
  | "socket_path_relative"
  | "socket_path_too_long"
  | "socket_mode_too_wide"
  | "group_unknown"
  | "group_file_unreadable"
  | "directory_missing"
  | "directory_symlink"
  | "directory_not_a_directory"
  | "directory_wrong_owner"
  | "directory_wrong_group"
  | "directory_wrong_mode"
  | "directory_unreadable"
  | "ancestor_wrong_owner"
  | "ancestor_writable"
  | "instance_running"
  | "lock_not_ours"
  | "socket_live"
  | "socket_occupied"
  | "socket_bind_failed"
  | "socket_not_verified"
  | "address_invalid"
  | "address_in_use"
  | "address_denied"
  | "listen_failed";

export class ServerError extends ProviderError<ServerCode> {}

/** Why the provider cannot listen at server.socketPath. */
export function socketError(
  code: ServerCode,
  problem: string,
  advice?: string,
  cause?: unknown,
): ServerError {
  const message = `server.socketPath: ${problem}`;
  return new ServerError({ code, errorClass: "socket_unavailable", message, advice, cause });
}
