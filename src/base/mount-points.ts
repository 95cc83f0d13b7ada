/** @module Which directories are mount points. Reads /proc/self/mountinfo, proc_pid_mountinfo(5). */
import { readFileSync } from "node:fs";

const MOUNT_POINT_FIELD = 4;

/** The fifth field of each line, with the kernel's octal escapes of blanks and backslashes undone. */
export function parseMountPoints(mountInfo: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const line of mountInfo.split("\n")) {
    const field = line.split(" ")[MOUNT_POINT_FIELD];
    if (field?.startsWith("/")) {
      found.add(
        field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
      );
    }
  }
  return found;
}

/** The mount points that this process sees; none where the kernel shows none. */
export function readMountPoints(file = "/proc/self/mountinfo"): ReadonlySet<string> {
  try {
    return parseMountPoints(readFileSync(file, "utf8"));
  } catch {
    return new Set();
  }
}
