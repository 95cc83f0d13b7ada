/** @module `server.socketGroup` as a number: a GID, or a name of /etc/group, for LDAP and other sources need the C library. */
import { open } from "node:fs/promises";
import { reasonOf } from "../../base/errno.ts";
import { readFileBounded } from "../../base/read-bounded.ts";
import { ServerError } from "../errors.ts";

const GROUP_FILE = "/etc/group";
const MAX_GROUP_FILE_BYTES = 4 * 1024 * 1024;
/** The highest number is reserved: chown(2) takes it as "do not change". */
const MAX_GID = 0xfffffffe;

/** @throws ServerError `group_unknown` or `group_file_unreadable`, both of class `config_invalid`. */
export async function resolveSocketGroup(group: string, groupFile: string = GROUP_FILE): Promise<number> {
  if (/^[0-9]+$/.test(group)) {
    const gid = Number(group);
    if (gid > MAX_GID) {
      throw unknownGroup(group, `is not a group number: the highest is ${MAX_GID}`);
    }
    return gid;
  }
  const gid = findGroup(await readGroupFile(groupFile), group);
  if (gid === undefined) {
    throw unknownGroup(group, `is not a group of ${groupFile}`);
  }
  return gid;
}

/** group(5): `name:password:GID:members`, one a line; the first line of a name counts. */
export function findGroup(text: string, name: string): number | undefined {
  for (const line of text.split("\n")) {
    const [lineName, , number = ""] = line.split(":");
    if (lineName === name && /^[0-9]{1,10}$/.test(number) && Number(number) <= MAX_GID) {
      return Number(number);
    }
  }
  return undefined;
}

async function readGroupFile(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    await using file = await open(path);
    bytes = await readFileBounded(file, MAX_GROUP_FILE_BYTES);
  } catch (error) {
    throw unreadable(`${path} cannot be read (${reasonOf(error)})`, error);
  }
  if (bytes.length > MAX_GROUP_FILE_BYTES) {
    throw unreadable(`${path} is larger than ${MAX_GROUP_FILE_BYTES} bytes`);
  }
  return Buffer.from(bytes).toString("utf8");
}

function groupError(
  code: "group_unknown" | "group_file_unreadable",
  problem: string,
  advice: string,
  cause?: unknown,
): ServerError {
  const message = `server.socketGroup: ${problem}`;
  return new ServerError({ code, errorClass: "config_invalid", message, advice, cause });
}

function unreadable(problem: string, cause?: unknown): ServerError {
  return groupError("group_file_unreadable", problem, "set server.socketGroup to the group's number", cause);
}

function unknownGroup(group: string, problem: string): ServerError {
  const advice = `create the group, or set server.socketGroup to the third field of: getent group ${group}`;
  return groupError("group_unknown", `${JSON.stringify(group)} ${problem}`, advice);
}
