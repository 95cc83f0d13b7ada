/** The permission table and the access matrix, row by row, with real users on a real system. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { CommandResult } from "../harness/command.ts";
import { releaseTools } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { defaultNames, directoryTable, fileTable, type Names, permissionsAt } from "./identity-table.ts";
import { type ProviderMachine, paths, providerMachine, unit } from "./provider-machine.ts";
import { describeOnMachine, machineTimeoutMs } from "./systemd-suite.ts";

const connect = `perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Peer => "${paths.socket}") or die $!'`;
const credentials = [paths.jwt, paths.chain, paths.pin] as const;

/** A right, and the command that needs it. Each leaves things as they were when it succeeds. */
const read = (path: string) => `head -c 1 ${path} > /dev/null`;
const write = (path: string) => `: >> ${path}`;
const create = (directory: string) => `touch ${directory}/new && rm ${directory}/new`;
const replace = (path: string) => `mv ${path} ${path}.old && mv ${path}.old ${path}`;

type Row = readonly [right: string, command: string, allowed: boolean];

/** The service as its unit runs it: its user, its groups, and its view of the host. */
const serviceRows: readonly Row[] = [
  ["read the configuration", read(paths.config), true],
  ["read the CA", read(paths.ca), true],
  ...credentials.map((path): Row => [`read ${path}`, read(path), true]),
  ["read the registry", read(paths.registry), true],
  ["write the registry's directory", create("/var/lib/openbao-kms/state"), true],
  ["write the socket's directory", create(paths.directory), true],
  ["connect", connect, true],
  ["write the configuration", write(paths.config), false],
  ["replace the configuration", replace(paths.config), false],
  ["write the CA", write(paths.ca), false],
  ...credentials.flatMap((path): readonly Row[] => [
    [`write ${path}`, write(path), false],
    [`replace ${path}`, replace(path), false],
  ]),
  ["write /etc", create("/etc"), false],
  ["write /run", create("/run"), false],
  [
    "run what it can write",
    "cp /bin/true /var/lib/openbao-kms/state/t && /var/lib/openbao-kms/state/t; r=$?; rm /var/lib/openbao-kms/state/t; exit $r",
    false,
  ],
  ["write its own program", write("/usr/bin/bao-kms-provider"), false],
  ["read /root", "ls /root", false],
  ["see other processes", "cat /proc/1/status", false],
  ["read the kernel's log", "head -c 1 /dev/kmsg", false],
];

const noneOfIt: readonly Row[] = [
  ["read the configuration", read(paths.config), false],
  ["read the CA through the provider's directory", read(paths.ca), false],
  ...credentials.flatMap((path): readonly Row[] => [
    [`read ${path}`, read(path), false],
    [`write ${path}`, write(path), false],
    [`replace ${path}`, replace(path), false],
  ]),
  ["list the state", "ls /var/lib/openbao-kms/state", false],
  ["read the registry", read(paths.registry), false],
  ["replace the socket", replace(paths.socket), false],
  ["remove the socket", `rm ${paths.socket} < /dev/null`, false],
  ["make a socket beside it", create(paths.directory), false],
  ["change the socket's mode", `chmod 0666 ${paths.socket}`, false],
  ["change the directory's mode", `chmod 2770 ${paths.directory}`, false],
];
const apiServerRows: readonly Row[] = [["connect", connect, true], ...noneOfIt];
const strangerRows: readonly Row[] = [
  ["connect", connect, false],
  ["enter the socket's directory", `ls ${paths.directory}`, false],
  ...noneOfIt,
];
const rootRows: readonly Row[] = [["connect", connect, true]];

const otherNames: Names = { user: "kmsd", group: "kmsd", socketGroup: "kmsd-clients" };

setDefaultTimeout(machineTimeoutMs);

describeOnMachine("Linux identity", { ...releaseTools, bao: "none: an OpenBao binary on PATH" }, () => {
  describe.each([
    ["the default names", defaultNames],
    ["other names", otherNames],
  ])("with %s", (_, names) => {
    let host: ProviderMachine;
    beforeAll(async () => {
      host = await providerMachine(names);
      await host.machine.must(`
        useradd --system kube-apiserver
        useradd --system stranger
        systemctl start ${unit}`);
      await host.machine.must(
        docBlock("linux-identity.md#apiserver-member").replaceAll(
          defaultNames.socketGroup,
          names.socketGroup,
        ),
      );
      await host.encrypts();
    });
    afterAll(() => host.dispose());

    test("owners and modes are those of the table", async () => {
      const rows = [...directoryTable(names), ...fileTable(names)];
      expect(await permissionsAt(host.machine, rows)).toEqual(rows);
    });

    test("only the names that were chosen exist", async () => {
      const found = await host.machine.must("getent passwd | cut -d: -f1; getent group | cut -d: -f1");
      expect(
        found
          .split("\n")
          .filter((name) => /kms/.test(name))
          .sort(),
      ).toEqual([names.user, names.group, names.socketGroup].sort());
    });

    /** Inside the mount namespace of the running service, as its user, with its groups and no capability. */
    const asService = async (command: string): Promise<CommandResult> => {
      host.machine.put("/run/command", command);
      return host.machine.sh(`
        command=$(cat /run/command)
        number() { getent "$1" "$2" | cut -d: -f3; }
        group=$(number group ${names.group})
        exec nsenter --target "$(systemctl show --property=MainPID --value ${unit})" --mount \\
          setpriv --reuid "$(number passwd ${names.user})" --regid "$group" \\
          --groups "$group,$(number group ${names.socketGroup})" --no-new-privs --bounding-set=-all --inh-caps=-all \\
          sh -c "$command"`);
    };
    const expectRight = ({ status, stderr }: CommandResult, allowed: boolean): void => {
      expect(status === 0, stderr).toBe(allowed);
      if (!allowed) {
        // Refused by the system, not by a mistake in the command.
        expect(stderr).toMatch(
          /Permission denied|Read-only file system|not permitted|No such file or directory/,
        );
      }
    };

    test.each(serviceRows)("the service: %s", async (_right, command, allowed) => {
      expectRight(await asService(command), allowed);
    });
    test.each(apiServerRows)("a kube-apiserver that is not root: %s", async (_right, command, allowed) => {
      expectRight(await host.machine.as("kube-apiserver", command), allowed);
    });
    test.each(strangerRows)("a stranger: %s", async (_right, command, allowed) => {
      expectRight(await host.machine.as("stranger", command), allowed);
    });
    test.each(rootRows)("a kube-apiserver that is root: %s", async (_right, command, allowed) => {
      expectRight(await host.machine.sh(command), allowed);
    });

    test("the running process has no capability, the chosen identities, and no way to more", async () => {
      const pid = await host.property("MainPID");
      const status = await host.machine.must(
        `cat /proc/${pid}/status; id -u ${names.user}; getent group ${names.group} ${names.socketGroup} | cut -d: -f3`,
      );
      const [uid = "", gid = "", socketGid = ""] = status.split("\n").slice(-3);
      expect(status).toMatch(new RegExp(`^Uid:\\t${uid}\\t${uid}\\t${uid}\\t${uid}$`, "m"));
      expect(status).toMatch(new RegExp(`^Gid:\\t${gid}\\t${gid}\\t${gid}\\t${gid}$`, "m"));
      expect(/^Groups:\t(.*)$/m.exec(status)?.[1]?.trim().split(" ").sort()).toEqual([gid, socketGid].sort());
      for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
        expect(status).toMatch(new RegExp(`^${set}:\\t0+$`, "m"));
      }
      expect(status).toMatch(/^NoNewPrivs:\t1$/m);
      expect(status).toMatch(/^Seccomp:\t2$/m);
    });

    test("nothing of the host is writable in its view but what the unit names", async () => {
      const pid = await host.property("MainPID");
      const mounts = await host.machine.must(`cut -d' ' -f2,4 /proc/${pid}/mounts`);
      const writable = mounts
        .split("\n")
        .map((line) => line.split(" "))
        .filter(
          ([path = "", options = ""]) =>
            /^rw\b/.test(options) && !/^\/(proc|sys|dev)\b/.test(path) && path !== host.machine.shared,
        );
      expect(new Set(writable.map(([path]) => path))).toEqual(
        new Set(["/run/openbao-kms", "/tmp", "/var/lib/openbao-kms/state", "/var/tmp"]),
      );
      expect(
        writable.filter(([path, options = ""]) => path !== "/tmp" && !/\bnoexec\b/.test(options)),
      ).toEqual([]);
    });

    test("the command of the page works for a kube-apiserver that is not root", async () => {
      await host.machine.must(docBlock("linux-identity.md#apiserver-probe"));
    });
  });
});
