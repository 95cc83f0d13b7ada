/**
 * A resolver and a wall clock for one process alone, on a machine whose own stay as they are.
 *
 * @module A private mount namespace with a changed /etc; needs root, and a C compiler for wall-clock.c. What the resolver
 * answers: name-server.ts.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Addresses are remembered as briefly as under the unit. */
const SCRIPT = `set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc
printf 'nameserver %s\\noptions timeout:1 attempts:2\\n' "$2" >/etc/resolv.conf
printf '%s\\n' "$3" >/etc/ld.so.preload
shift 3
export BUN_CONFIG_DNS_TIME_TO_LIVE_SECONDS=5
exec "$@"
`;

/** Prepares it under `dir`; `nameServer` is the address that its resolver asks, port 53. */
export function prepareOwnMachine(dir: string, nameServer: string) {
  const home = join(dir, "machine");
  mkdirSync(join(home, "etc"), { recursive: true });
  const offsetFile = join(home, "wall-clock-offset");
  const library = join(home, "wall-clock.so");
  /** Sets the wall clock forward by so many seconds, back when negative. */
  const moveClock = (seconds: number): void => writeFileSync(offsetFile, String(seconds));
  moveClock(0);
  const compiled = spawnSync(
    "cc",
    [
      "-shared",
      "-fPIC",
      "-O1",
      `-DOFFSET_FILE="${offsetFile}"`,
      "-o",
      library,
      join(import.meta.dir, "wall-clock.c"),
    ],
    { encoding: "utf8" },
  );
  if (compiled.status !== 0) {
    throw new Error(`cc cannot compile wall-clock.c: ${compiled.stderr || String(compiled.error)}`);
  }
  return {
    /** Goes before a command; it keeps the pid of what it starts. */
    prefix: [
      "unshare",
      "--mount",
      "--propagation",
      "private",
      "sh",
      "-c",
      SCRIPT,
      "own-machine",
      join(home, "etc"),
      nameServer,
      library,
    ],
    moveClock,
  };
}
