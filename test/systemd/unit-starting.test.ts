/** When the unit is started: by a path unit, beside the directory helper, at boot, before kubelet. */
import { expect, test } from "bun:test";
import { eventually } from "../harness/eventually.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { paths, unit } from "./provider-machine.ts";
import { describeUnit, dropIns, examples } from "./unit-machine.ts";

describeUnit("unit: starting", (on) => {
  test("the path unit starts it when its JWT appears, and not again after it was stopped", async () => {
    await on.stop();
    await on.machine.must(`mv ${paths.jwt} ${paths.jwt}.away`);
    await on.machine.must(docBlock("systemd.md#path-unit"));
    await on.start();
    expect(await on.state()).toBe("inactive");
    await on.machine.must(`mv ${paths.jwt}.away ${paths.jwt}`);
    await eventually("it runs", async () => (await on.state()) === "active", { timeoutMs: 30_000 });
    await on.machine.must(`systemctl stop ${unit}`);
    await Bun.sleep(500);
    expect(await on.state()).toBe("inactive");
    await on.machine.must("systemctl disable --now bao-kms-provider.path");
  });

  test("a start is over when the key was read, and leaves no failure in the journal", async () => {
    await on.start();
    await on.encrypts();
    await on.stop();
    const since = await on.now();
    await on.start();
    // The provider notices a moment after its Status did that it is ready.
    let journal = "";
    await eventually(
      "it says that it is ready",
      async () => {
        journal = await on.host.journal(since);
        return journal.includes('"message":"provider.ready"');
      },
      { timeoutMs: 10_000 },
    );
    expect(journal).toMatch(/✓ probe\.decrypt/);
    expect(journal).not.toMatch(/✗|"level":"(?:warn|error)"/);
  });

  test("the root helper makes the runtime directory where tmpfiles.d does not", async () => {
    await on.stop();
    await on.machine.must(docBlock("linux-identity.md#directory-helper"));
    await on.machine.must(`rm -r ${paths.directory}; systemctl start ${unit}`);
    expect(await on.machine.must(`stat -c '%U:%G %a' ${paths.directory}`)).toBe(
      "openbao-kms:openbao-kms-socket 2750",
    );
    await on.encrypts();
    await on.machine.must(`rm /etc/systemd/system/bao-kms-provider-directory.service`);
    await on.undoDropIn("20-directory.conf");
  });

  test.each([
    ["k3s", "k3s.service"],
    ["rke2", "rke2-server.service"],
  ])("the drop-in for %s orders it before %s", async (name, service) => {
    await on.machine.must(
      `install -m 0644 -D ${examples}/drop-ins/${name}.conf ${dropIns}/40-order.conf; systemctl daemon-reload`,
    );
    expect((await on.host.property("Before")).split(" ")).toContain(service);
    await on.undoDropIn("40-order.conf");
  });

  test("after a reboot the directory is there again, and the socket answers before kubelet starts", async () => {
    on.machine.put(
      "/etc/systemd/system/kubelet.service",
      `[Unit]
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'stat -c "%%F %%a" ${paths.socket} > /var/tmp/kubelet-saw'
[Install]
WantedBy=multi-user.target
`,
    );
    await on.machine.must(`systemctl daemon-reload; systemctl enable kubelet.service ${unit}`);
    await on.machine.powerOff();
    await on.machine.boot();
    expect(await on.machine.must("cat /var/tmp/kubelet-saw")).toBe("socket 660");
    expect(await on.machine.must(`stat -c '%U:%G %a' ${paths.directory}`)).toBe(
      "openbao-kms:openbao-kms-socket 2750",
    );
    await on.encrypts();
    const [provider, kubelet] = await Promise.all([
      on.machine.must(`systemctl show --property=ActiveEnterTimestampMonotonic --value ${unit}`),
      on.machine.must("systemctl show --property=ExecMainStartTimestampMonotonic --value kubelet.service"),
    ]);
    expect(Number(provider)).toBeLessThan(Number(kubelet));
  });

  test("a boot without OpenBao does not keep kubelet from starting", async () => {
    await on.host.openbao.kill();
    await on.machine.must(`rm -f ${paths.registry}* /var/tmp/kubelet-saw`);
    await on.machine.powerOff();
    const began = performance.now();
    await on.machine.boot();
    const bootMs = performance.now() - began;
    expect(await on.machine.must("cat /var/tmp/kubelet-saw")).toBe("socket 660");
    expect(bootMs).toBeLessThan(35_000);
    await on.host.openbao.start();
    await on.encrypts(60_000);
  });
});
