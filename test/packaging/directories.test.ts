/** The packages' own way to make directories, where systemd-tmpfiles is missing: as root, in a mount namespace of its own. */
import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const script = join(import.meta.dir, "..", "..", "packaging", "linux", "identities-and-directories.sh");
const UID = 47_140;

/** Runs `commands` around `make_directories` on empty /etc, /var/lib and /run. */
function directories(before: string, after: string): string {
  const commands = `
    set -e
    passwd=$(cat /etc/passwd) group=$(cat /etc/group)
    for each in /etc /var/lib /run; do mount -t tmpfs -o mode=0755 tmpfs $each; done
    { echo "$passwd"; echo "openbao-kms:x:${UID}:${UID}::/:/bin/false"; } > /etc/passwd
    { echo "$group"; echo "openbao-kms:x:${UID}:"; echo "openbao-kms-socket:x:${UID + 1}:"; } > /etc/group
    # A PATH without systemd-tmpfiles.
    mkdir /run/bin
    for each in install setpriv mkdir id getent cut; do ln -s "$(command -v $each)" /run/bin/; done
    . ${script}
    ${before}
    (PATH=/run/bin make_directories)
    ${after}`;
  const { stdout, stderr, status } = spawnSync("unshare", ["--mount", "sh", "-c", commands], {
    encoding: "utf8",
  });
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  return stdout.trim();
}

const stat = (...paths: readonly string[]): string => `stat -c '%n %U:%G %a' ${paths.join(" ")}`;

describe.skipIf(process.geteuid?.() !== 0)("without systemd-tmpfiles", () => {
  test("the directories are made with their owners and modes, twice", () => {
    const paths = [
      "/etc/openbao-kms",
      "/var/lib/openbao-kms",
      "/var/lib/openbao-kms/state",
      "/run/openbao-kms",
    ];
    expect(directories("", `(PATH=/run/bin make_directories); ${stat(...paths)}`).split("\n")).toEqual([
      "/etc/openbao-kms root:openbao-kms 750",
      "/var/lib/openbao-kms openbao-kms:openbao-kms 750",
      "/var/lib/openbao-kms/state openbao-kms:openbao-kms 750",
      "/run/openbao-kms openbao-kms:openbao-kms-socket 2750",
    ]);
  });

  test.each([
    ["root's directory", "/var/lib/roots"],
    ["nothing", "/var/lib/nothing"],
  ])("a link that the service has put there does not give it %s", (_, target) => {
    const before = `mkdir -m 0700 /var/lib/roots /var/lib/openbao-kms
      ln -s ${target} /var/lib/openbao-kms/state
      chown -h ${UID}:${UID} /var/lib/openbao-kms /var/lib/openbao-kms/state`;
    expect(directories(before, `${stat("/var/lib/roots")}; test ! -e /var/lib/nothing`)).toBe(
      "/var/lib/roots root:root 700",
    );
  });
});
