/** The packages and the tarball on a real Debian system: what they make, start, keep and leave. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { releaseTools, testRelease, version } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { defaultNames, directoryTable, permissionsAt } from "./identity-table.ts";
import { type Machine, newMachine, newOfflineRoot, type OfflineRoot } from "./machine.ts";
import { download, paths, unit } from "./provider-machine.ts";
import { describeOnMachine, machineTimeoutMs } from "./systemd-suite.ts";

const directories = directoryTable(defaultNames);
const { config, registry } = paths;

/** The installed package again with another version, as the next release would be. */
function nextVersion(machine: Machine): Promise<string> {
  return machine.must(`
    cd /root
    dpkg-deb --raw-extract bao-kms-provider_${version}_linux_amd64.deb next
    sed -i 's/^Version: .*/Version: 99.0.0/' next/DEBIAN/control
    dpkg-deb --root-owner-group -Znone --build next bao-kms-provider_99.0.0_linux_amd64.deb
    rm -r next`);
}

setDefaultTimeout(machineTimeoutMs);

describeOnMachine("deb on a machine with systemd", releaseTools, () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await newMachine();
    await machine.boot();
    download(machine, testRelease().artefact("", "deb"));
  });
  afterAll(() => machine.remove());
  const state = async (): Promise<string> => (await machine.sh(`systemctl is-active ${unit}`)).stdout.trim();

  test("installing makes identities and directories, and says what comes next", async () => {
    const said = await machine.must(`cd /root\nVERSION=${version}\n${docBlock("install.md#deb")}`);
    expect(said).toContain("is installed and not started");
    expect(await permissionsAt(machine, directories)).toEqual(directories);
    expect(await machine.must("id -nG openbao-kms")).toBe("openbao-kms");
    expect(await machine.must("getent passwd openbao-kms | cut -d: -f6,7")).toBe(
      "/var/lib/openbao-kms:/usr/sbin/nologin",
    );
  });

  test("it starts and enables nothing, and puts no configuration or credential", async () => {
    expect(await state()).toBe("inactive");
    expect((await machine.sh(`systemctl is-enabled ${unit}`)).stdout.trim()).toBe("disabled");
    expect(await machine.must("find /etc/openbao-kms /var/lib/openbao-kms /run/openbao-kms -type f")).toBe(
      "",
    );
  });

  test("systemd finds nothing wrong with the units", async () => {
    const { stdout, stderr, status } = await machine.sh(
      `systemd-analyze verify --man=no ${unit} bao-kms-provider.path /usr/share/doc/bao-kms-provider/examples/systemd/bao-kms-provider-directory.service`,
    );
    expect(stdout + stderr).toBe("");
    expect(status).toBe(0);
  });

  test("every command finds its man page and completion where its shell looks", async () => {
    await machine.must(`
      test -s /usr/share/man/man8/bao-kms-provider.8.gz
      test -s /usr/share/bash-completion/completions/bao-kms-provider
      test -s /usr/share/zsh/vendor-completions/_bao-kms-provider
      test -s /usr/share/fish/vendor_completions.d/bao-kms-provider.fish
      test -s /usr/share/doc/bao-kms-provider/THIRD-PARTY-LICENSES`);
  });

  test("an upgrade restarts a running service, starts no stopped one, and keeps state and configuration", async () => {
    await nextVersion(machine);
    // What runs is beside the point here: a service of that name is running, and another process of it must be after.
    await machine.must(`
        mkdir -p /etc/systemd/system/${unit}.d
        printf '[Unit]\\nConditionPathExists=\\n[Service]\\nExecStart=\\nExecStart=/bin/sleep 1000\\nExecStartPost=\\n' \\
          > /etc/systemd/system/${unit}.d/99-sleep.conf
        systemctl daemon-reload
        printf 'mine' > ${config}; printf 'mine' > ${registry}; chmod 0600 ${registry}`);
    await machine.must(`cd /root && apt-get install -y ./bao-kms-provider_99.0.0_linux_amd64.deb`);
    expect(await state()).toBe("inactive");
    await machine.must(`systemctl start ${unit}`);
    const before = await machine.must(`systemctl show -p MainPID --value ${unit}`);
    await machine.must(`cd /root\nVERSION=${version}\n${docBlock("upgrade.md#rollback-deb")}`);
    const after = await machine.must(`systemctl show -p MainPID --value ${unit}`);
    expect(after).not.toBe(before);
    expect(await state()).toBe("active");
    expect(await machine.must(`cat ${config} ${registry}; stat -c %a ${registry}`)).toBe("minemine600");
  });

  test("removal stops the service and keeps everything; purge says what it leaves", async () => {
    const removed = await machine.must(docBlock("upgrade.md#remove-deb"));
    expect(removed).toContain("cannot decrypt after its next restart");
    expect(await state()).toBe("inactive");
    expect(await machine.must(`cat ${config} ${registry}`)).toBe("minemine");
    const purged = await machine.must(docBlock("upgrade.md#purge-deb"));
    for (const left of ["/etc/openbao-kms", "/var/lib/openbao-kms", "user openbao-kms"]) {
      expect(purged).toContain(left);
    }
    expect(await machine.must(`cat ${config} ${registry}; id -un openbao-kms`)).toBe("minemineopenbao-kms");
    expect((await machine.sh("test -e /usr/bin/bao-kms-provider")).status).not.toBe(0);
    await machine.must(docBlock("upgrade.md#delete"));
    expect((await machine.sh(`test -e ${config} || id openbao-kms`)).status).not.toBe(0);
  });

  test("the tarball and its install lines make the same", async () => {
    download(machine, testRelease().artefact("", "tar.gz"));
    await machine.must(`rm -r /etc/systemd/system/${unit}.d`);
    await machine.must(`cd /root\nVERSION=${version}\n${docBlock("install.md#tarball")}`);
    expect(await permissionsAt(machine, directories)).toEqual(directories);
    expect(await machine.must(`stat -c '%U:%G %a' ${config}`)).toBe("root:openbao-kms 640");
    expect((await machine.sh(`systemctl cat ${unit}`)).status).toBe(0);
  });
});

describeOnMachine("packages where systemd is not running", releaseTools, () => {
  let offline: OfflineRoot;
  const files = directories.filter(([path]) => !path.startsWith("/run/"));
  beforeAll(async () => {
    offline = await newOfflineRoot();
  });
  afterAll(() => offline.remove());

  const copyIn = (file: string) => offline.over((root) => ["cp", file, `${root}/root/`]);

  test("the deb makes identities and directories without sysusers.d and tmpfiles.d", async () => {
    await copyIn(testRelease().artefact("", "deb"));
    await offline.must("mv /usr/bin/systemd-sysusers /usr/bin/systemd-tmpfiles /root");
    await offline.must(`dpkg --install /root/bao-kms-provider_${version}_linux_amd64.deb`);
    expect(await permissionsAt(offline, directories)).toEqual(directories);
    expect(await offline.must("id -nG openbao-kms")).toBe("openbao-kms");
    await offline.must("dpkg --purge bao-kms-provider");
    await offline.must(docBlock("upgrade.md#delete"));
    expect((await offline.sh("id openbao-kms")).status).not.toBe(0);
  });

  test("the lines for image builds make the same", async () => {
    await offline.must(docBlock("linux-identity.md#by-hand"));
    expect(await permissionsAt(offline, directories)).toEqual(directories);
    await offline.must(docBlock("upgrade.md#delete"));
    await offline.must("mv /root/systemd-sysusers /root/systemd-tmpfiles /usr/bin");
  });

  test("the rpm's scriptlets make the same, and its files verify", async () => {
    const rpm = (...args: readonly string[]) =>
      offline.over((root) => ["rpm", `--root=${root}`, "--define", "_dbpath /var/lib/rpm", ...args]);
    const installed = await rpm("--install", "--nodeps", testRelease().artefact("", "rpm"));
    expect(installed.status, installed.stderr).toBe(0);
    expect(await permissionsAt(offline, files)).toEqual(files);
    const verified = await rpm("--verify", "--nodeps", "bao-kms-provider");
    expect(verified.stdout).toBe("");
    expect(verified.status).toBe(0);
    await offline.must(`printf mine > ${config}; printf mine > ${registry}`);
    const erased = await rpm("--erase", "bao-kms-provider");
    expect(erased.stdout).toContain("/var/lib/openbao-kms");
    expect(await offline.must(`cat ${config} ${registry}`)).toBe("minemine");
    expect((await offline.sh("test -e /usr/bin/bao-kms-provider")).status).not.toBe(0);
  });
});
