/** The static pod's bundle on a machine, and its image serving under the manifest's restrictions. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { releaseTools, root, testRelease, version } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { type PermissionRow, permissionsAt } from "./identity-table.ts";
import { type Machine, newMachine } from "./machine.ts";
import { download } from "./provider-machine.ts";
import { describeOnMachine, machineTimeoutMs } from "./systemd-suite.ts";

setDefaultTimeout(machineTimeoutMs);

/** stat says UNKNOWN for 65532, which has no name on the host. */
const directories: readonly PermissionRow[] = [
  ["/etc/openbao-kms", "root:UNKNOWN", "750"],
  ["/etc/openbao-kms/tls", "root:root", "755"],
  ["/var/lib/openbao-kms", "UNKNOWN:UNKNOWN", "750"],
  ["/var/lib/openbao-kms/state", "UNKNOWN:UNKNOWN", "750"],
  ["/run/openbao-kms", "UNKNOWN:openbao-kms-socket", "2750"],
];

describeOnMachine("static pod on a machine", releaseTools, () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await newMachine();
    await machine.boot();
    download(machine, testRelease().artefact("_static-pod", "tar.gz"));
    machine.put("/root/ca.crt", "ca");
    machine.put("/root/identity.jwt", "jwt");
    await machine.must("mkdir -p /etc/kubernetes/manifests");
  });
  afterAll(() => machine.remove());

  test("the page's commands make directories for 65532 and a manifest with this host's group", async () => {
    const said = await machine.must(`cd /root\nVERSION=${version}\n${docBlock("static-pod.md#directories")}`);
    const gid = said.split("\n").at(-1) ?? "";
    expect(gid).toMatch(/^\d+$/);
    expect(await permissionsAt(machine, directories)).toEqual(directories);
    expect(await machine.must("stat -c %u /var/lib/openbao-kms/state")).toBe("65532");

    const folder = `/root/bao-kms-provider_static-pod_${version}_linux_amd64`;
    await machine.must(`cd ${folder}\n${docBlock("static-pod.md#configure")}`);
    const manifest = readFileSync(machine.path("/etc/kubernetes/manifests/bao-kms-provider.yaml"), "utf8");
    expect(manifest).toContain(`supplementalGroups: [${gid}]`);
    expect(manifest).not.toMatch(/sha256:0{64}/);
    expect(readFileSync(machine.path("/etc/openbao-kms/config.yaml"), "utf8")).toContain(
      `socketGroup: "${gid}"`,
    );
    expect(
      await machine.must("stat -c '%U:%g %a' /etc/openbao-kms/config.yaml /var/lib/openbao-kms/identity.jwt"),
    ).toBe("root:65532 640\nroot:65532 640");
  });

  test("the lines for hosts without systemd's tools make the same", async () => {
    await machine.must(
      "rm -r /etc/openbao-kms /var/lib/openbao-kms /run/openbao-kms; groupdel openbao-kms-socket",
    );
    await machine.must(docBlock("static-pod.md#by-hand"));
    expect(await permissionsAt(machine, directories)).toEqual(directories);
  });
});

test("the bundle's tmpfiles lines are what the test expects", () => {
  const lines =
    readFileSync(join(root, "deploy", "static-pod", "tmpfiles.conf"), "utf8").match(/^d \S+/gm) ?? [];
  expect(lines.map((line) => line.slice(2))).toEqual(directories.map(([path]) => path));
});
