/** The unit as it runs: what it may do, what it needs, how it ends and comes back; and the commands of the pages. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../packaging/run.ts";
import { unitEnvironment } from "../../scripts/bench/unit-environment.ts";
import { eventually } from "../harness/eventually.ts";
import { root, version } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { paths, unit } from "./provider-machine.ts";
import { describeUnit, examples } from "./unit-machine.ts";

/** The whole of what the manuals say about time limits, instead of a drop-in that shortens them. */
const fullMatrix = process.env["FULL_MATRIX"] === "1";
const lateMs = 30_000;

describeUnit("unit: running", (on) => {
  test("the pages' commands configure and start it", async () => {
    await on.stop();
    await on.machine.must(`cd /root; cp ${paths.ca} ca.crt; cp ${paths.jwt} identity.jwt; rm ${paths.ca} ${paths.jwt}
        ${docBlock("systemd.md#configure")}`);
    await on.host.configure();
    expect(await on.machine.must(docBlock("systemd.md#doctor"))).not.toContain("✗");
    expect(await on.machine.must(docBlock("systemd.md#start"))).toContain("active (running)");
    await on.encrypts();
    expect(await on.machine.must(docBlock("systemd.md#journal"))).toContain("provider.started");
    on.machine.put(
      "/etc/kubernetes/encryption-config.yaml",
      await Bun.file(join(root, "deploy", "kubernetes", "encryption-config.yaml")).text(),
      0o600,
    );
    expect(await on.machine.must(docBlock("systemd.md#doctor-encryption"))).not.toContain("✗");
  });

  test("its exposure is 1.3 at most", async () => {
    const said = await on.machine.must(docBlock("hardening.md#score"));
    expect(Number(/exposure level for \S+: ([\d.]+)/.exec(said)?.[1])).toBeLessThanOrEqual(1.3);
  });

  test("it encrypts and decrypts with the JIT off, and has no page that is writable and executable", async () => {
    await on.roundTrip();
    const pid = await on.host.property("MainPID");
    const maps = await on.machine.must(`cat /proc/${pid}/maps`);
    expect(maps.split("\n").filter((line) => /^\S+ .wx/.test(line))).toEqual([]);
    expect(await on.machine.must(`cat /proc/${pid}/limits`)).toMatch(/^Max core file size\s+0\s+0/m);
  });

  test("it needs 64 MiB at most, and answers within a second of its start", async () => {
    for (let call = 0; call < 50; call += 1) {
      await on.roundTrip();
    }
    const pid = await on.host.property("MainPID");
    const rssKib = Number(
      await on.machine.must(`sed -n 's/^VmRSS:\\s*\\([0-9]*\\) kB/\\1/p' /proc/${pid}/status`),
    );
    expect(rssKib).toBeLessThan(64 * 1024);
    await on.machine.must(`systemctl restart ${unit}`);
    const startMs =
      (await micros("ActiveEnterTimestampMonotonic")) / 1000 -
      (await micros("ExecMainStartTimestampMonotonic")) / 1000;
    console.log(
      `under the unit: RSS ${(rssKib / 1024).toFixed(1)} MiB, exec to a good probe ${startMs.toFixed(0)} ms`,
    );
    expect(startMs).toBeLessThan(3000);
  });
  const micros = async (property: string): Promise<number> => Number(await on.host.property(property));

  test("variables that would subvert the runtime never reach it", async () => {
    await on.machine.must(
      `systemctl set-environment BUN_OPTIONS=--smol BUN_BE_BUN=1 NODE_OPTIONS=x LD_PRELOAD=/nothing.so HTTPS_PROXY=http://192.0.2.1:1`,
    );
    await on.machine.must(`systemctl restart ${unit}`);
    await on.encrypts();
    const pid = await on.host.property("MainPID");
    const environment = (await on.machine.must(`tr '\\0' '\\n' < /proc/${pid}/environ`))
      .split("\n")
      .map((line) => line.split("=")[0]);
    await on.machine.must(
      "systemctl unset-environment BUN_OPTIONS BUN_BE_BUN NODE_OPTIONS LD_PRELOAD HTTPS_PROXY",
    );
    const ofTheRuntime = environment.filter((name = "") => /^(BUN|NODE|LD_|HTTP|http)/.test(name));
    expect(ofTheRuntime).toEqual(Object.keys(unitEnvironment("on")));
  });

  test("reload keeps the process", async () => {
    const pid = await on.host.property("MainPID");
    await on.machine.must(`systemctl reload ${unit}`);
    await on.roundTrip();
    expect(await on.host.property("MainPID")).toBe(pid);
  });

  test("kill -9: systemd starts it again, and what was encrypted before is read", async () => {
    const client = on.host.client();
    const { ciphertext, keyId, annotations } = await client.encrypt(new Uint8Array(32).fill(7));
    const pid = await on.host.property("MainPID");
    await on.machine.must(`kill -KILL ${pid}`);
    await eventually(
      "another process runs",
      async () => !["0", pid].includes(await on.host.property("MainPID")),
      {
        timeoutMs: 15_000,
      },
    );
    await on.encrypts();
    const { plaintext } = await on.host.client().decrypt({ ciphertext, keyId, annotations });
    expect(plaintext[0]).toBe(7);
  });

  test("SIGTERM ends it within 5 s, cleanly, and the socket is gone", async () => {
    const began = performance.now();
    await on.machine.must(`systemctl stop ${unit}`);
    expect(performance.now() - began).toBeLessThan(5000);
    expect(await on.host.property("Result")).toBe("success");
    expect(await on.host.property("ExecMainStatus")).toBe("0");
    expect((await on.machine.sh(`test -e ${paths.socket}`)).status).not.toBe(0);
  });

  test("an OpenBao that comes 30 s late is waited for, without a restart", async () => {
    await on.host.openbao.kill();
    await on.machine.must(`rm -f ${paths.registry}*; systemctl start --no-block ${unit}`);
    await Bun.sleep(lateMs);
    const pid = await on.host.property("MainPID");
    await on.host.openbao.start();
    await on.encrypts(30_000);
    expect(await on.host.property("MainPID")).toBe(pid);
    expect(await on.host.property("NRestarts")).toBe("0");
  });

  test("an upgrade by the page's commands keeps it answering", async () => {
    await on.encrypts();
    await on.machine.must(
      `cd /root\nVERSION=${version}\n${docBlock("upgrade.md#upgrade-deb").replace("install -y", "install -y --reinstall")}`,
    );
    await on.encrypts();
  });

  test("its network can be narrowed to OpenBao's addresses", async () => {
    const text = await on.machine.must(`cat ${examples}/drop-ins/openbao-addresses.conf`);
    await on.dropIn("60-addresses.conf", text.replace("IPAddressAllow=localhost\n", ""));
    const since = await on.now();
    await on.machine.must(`systemctl restart --no-block ${unit}`);
    await eventually(
      "OpenBao cannot be reached",
      async () => /"error_class":"(openbao_unavailable|timeout)"/.test(await on.host.journal(since)),
      {
        timeoutMs: 15_000,
      },
    );
    await on.dropIn("60-addresses.conf", text);
    await on.machine.must(`systemctl restart --no-block ${unit}`);
    await on.encrypts();
    await on.roundTrip();
    await on.undoDropIn("60-addresses.conf");
  });

  test("the EncryptionConfiguration is staged by the page's commands", async () => {
    await on.machine.must(docBlock("kubeadm.md#stage-readers"));
    const staged = "/etc/kubernetes/encryption/encryption-config.yaml";
    expect(await on.machine.must(`stat -c '%U %a' ${staged}; grep -c identity ${staged}`)).toStartWith(
      "root 600",
    );
    expect(await on.machine.must(docBlock("kubeadm.md#stage-writers"))).not.toContain("✗");
  });

  test("a JWT that the page's commands sign logs in", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kms-issuer-"));
    try {
      run("sh", ["-ec", docBlock("kubeadm.md#jwt-issuer")], { cwd: folder });
      await on.host.openbao.operator.must("POST", "auth/jwt/config", {
        jwt_validation_pubkeys: [readFileSync(join(folder, "issuer.pub"), "utf8")],
      });
      await on.host.place(paths.jwt, readFileSync(join(folder, "identity.jwt"), "utf8"));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    const since = await on.now();
    await on.machine.must(`systemctl restart ${unit}`);
    await on.encrypts();
    await eventually(
      "it logs in",
      async () => /"message":"provider.ready"/.test(await on.host.journal(since)),
      {
        timeoutMs: 10_000,
      },
    );
  });

  test("a crash loop ends after ten starts in a minute", async () => {
    await on.stop();
    if (!fullMatrix) {
      await on.dropIn("90-fast.conf", "[Service]\nRestartSec=200ms\n");
    }
    await on.host.configure({ "server.socketMode": "0777" });
    const since = await on.now();
    try {
      await on.start();
      await eventually("systemd gives up", async () => (await on.host.property("SubState")) === "failed", {
        timeoutMs: 90_000,
        everyMs: 200,
      });
      const starts = (await on.host.journal(since)).match(/server\.socketMode \("0777"\)/g) ?? [];
      expect(starts.length).toBe(10);
    } finally {
      await on.host.configure();
      await on.undoDropIn("90-fast.conf");
    }
    await on.machine.must(`systemctl reset-failed ${unit}; systemctl start ${unit}`);
    await on.encrypts();
  });
});
