/** The unit on a booted machine with a real OpenBao: conditions, failures and their messages, restarts, boot order, isolation. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../packaging/run.ts";
import { unitEnvironment } from "../../scripts/bench/unit-environment.ts";
import { releaseTools, root, version } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { eventually } from "../real/harness/eventually.ts";
import type { Machine } from "./machine.ts";
import { type ProviderMachine, paths, providerMachine, unit } from "./provider-machine.ts";
import { describeOnMachine, machineTimeoutMs } from "./systemd-suite.ts";

const dropIns = `/etc/systemd/system/${unit}.d`;
const examples = "/usr/share/doc/bao-kms-provider/examples/systemd";
/** The whole of what the manuals say about time limits, instead of a drop-in that shortens them. */
const fullMatrix = process.env["FULL_MATRIX"] === "1";
const lateMs = 30_000;

setDefaultTimeout(machineTimeoutMs);

describeOnMachine("unit", { ...releaseTools, bao: "none: an OpenBao binary on PATH" }, () => {
  let host: ProviderMachine;
  let machine: Machine;
  beforeAll(async () => {
    host = await providerMachine();
    machine = host.machine;
    // A unit that nothing wants is forgotten when it stops, and `systemctl status` with it.
    await machine.must(`systemctl enable ${unit}`);
  });
  afterAll(() => host.dispose());

  const state = async (): Promise<string> => (await machine.sh(`systemctl is-active ${unit}`)).stdout.trim();
  const now = (): Promise<string> => machine.must("date '+%Y-%m-%d %H:%M:%S.%6N'");
  const stop = () =>
    machine.must(`systemctl stop ${unit}; systemctl reset-failed ${unit} 2>/dev/null || true`);
  const start = () => machine.sh(`systemctl start ${unit}`);
  const encrypts = (timeoutMs = 20_000) =>
    eventually("the provider encrypts", async () => (await host.client().status()).healthz === "ok", {
      timeoutMs,
    });
  const dropIn = (name: string, text: string) => {
    machine.put(`${dropIns}/${name}`, text);
    return machine.must("systemctl daemon-reload");
  };
  const undoDropIn = (name: string) => machine.must(`rm -f ${dropIns}/${name}; systemctl daemon-reload`);

  async function roundTrip(): Promise<void> {
    const client = host.client();
    const seed = crypto.getRandomValues(new Uint8Array(32));
    const { ciphertext, keyId, annotations } = await client.encrypt(seed);
    const { plaintext } = await client.decrypt({ ciphertext, keyId, annotations });
    expect(Buffer.from(plaintext).equals(Buffer.from(seed))).toBe(true);
  }

  describe("conditions", () => {
    test.each([
      ["configuration", paths.config, "ConditionPathExists"],
      ["JWT", paths.jwt, "ConditionPathExists"],
      ["runtime directory", paths.directory, "ConditionPathIsDirectory"],
    ])("without its %s it is skipped, and systemctl status says which", async (_, path, condition) => {
      await machine.must(`mv ${path} ${path}.away; systemctl start ${unit}`);
      const said = (await machine.sh(`systemctl status --no-pager ${unit}`)).stdout;
      await machine.must(`mv ${path}.away ${path}`);
      expect(said).toContain("start condition failed");
      expect(said).toContain(`${condition}=${path} was not met`);
      expect(await state()).toBe("inactive");
    });

    const credentials = readdirSync(join(root, "deploy", "systemd", "drop-ins"))
      .filter((name) => /^(cert-|oauth2|approle|spiffe)/.test(name))
      .sort();
    test.each(credentials)(
      "with the drop-in %s the JWT is no condition, and its own credential is",
      async (name) => {
        await machine.must(
          `install -m 0644 -D ${examples}/drop-ins/${name} ${dropIns}/50-credential.conf; systemctl daemon-reload`,
        );
        const listed = await machine.must(
          `systemctl cat ${unit} | sed '1,/50-credential/d' | grep '^Condition' | tail -n +2`,
        );
        const own = [...listed.matchAll(/ConditionPathExists=(\S+)/g)]
          .map(([, path = ""]) => path)
          .filter((path) => path !== paths.config);
        await machine.must(`mv ${paths.jwt} ${paths.jwt}.away`);
        for (const missing of own) {
          const others = own.filter((path) => path !== missing);
          await machine.must(others.map((path) => `[ -e ${path} ] || : > ${path}`).join("\n") || ":");
          await machine.must(`[ ! -e ${missing} ] || mv ${missing} ${missing}.away; systemctl start ${unit}`);
          expect((await machine.sh(`systemctl status --no-pager ${unit}`)).stdout).toContain(
            `ConditionPathExists=${missing} was not met`,
          );
          await machine.must(`[ ! -e ${missing}.away ] || mv ${missing}.away ${missing}`);
        }
        await machine.must(own.map((path) => `[ -e ${path} ] || : > ${path}`).join("\n") || ":");
        await start();
        expect(await machine.must(`systemctl show --property=ConditionResult --value ${unit}`)).toBe("yes");
        await stop();
        await machine.must(`mv ${paths.jwt}.away ${paths.jwt}`);
        await undoDropIn("50-credential.conf");
      },
    );

    test("the drop-in of the page is the PKCS#11 one, and keeps a refused PIN from being tried again", async () => {
      await machine.must(docBlock("systemd.md#credential-drop-in"));
      expect(await host.property("RestartPreventExitStatus")).toBe("6");
      await undoDropIn("50-credential.conf");
    });
  });

  describe("failures, caused for real", () => {
    const directoryMend = () => machine.must("systemd-tmpfiles --create openbao-kms.conf");
    const configMend = () => host.configure();
    const failures: readonly (readonly [
      what: string,
      cause: () => Promise<unknown>,
      mend: () => Promise<unknown>,
      says: RegExp,
      mendSaid: RegExp,
    ])[] = [
      [
        "socket directory of another group",
        () => machine.must(`chgrp openbao-kms ${paths.directory}`),
        directoryMend,
        /\/run\/openbao-kms has gid \d+, not that of server\.socketGroup/,
        /install -d -o openbao-kms -g openbao-kms-socket -m 2750 \/run\/openbao-kms/,
      ],
      [
        "socket directory that its group can write",
        () => machine.must(`chmod 2770 ${paths.directory}`),
        directoryMend,
        /has mode 2770/,
        /install -d -o openbao-kms -g openbao-kms-socket -m 2750/,
      ],
      [
        "configuration of root alone",
        () => machine.must(`chown root:root ${paths.config}`),
        configMend,
        /config\.yaml cannot be opened: permission denied/,
        /let the service's user read/,
      ],
      [
        "configuration that is refused",
        () => host.configure({ "server.socketMode": "0777" }),
        configMend,
        /server\.socketMode \("0777"\)/,
        /set server\.socketMode to "0660"/,
      ],
      [
        "CA file missing",
        () => machine.must(`mv ${paths.ca} ${paths.ca}.away`),
        () => machine.must(`mv ${paths.ca}.away ${paths.ca}`),
        /openbao\.caCertFile: the CA bundle \/etc\/openbao-kms\/tls\/ca\.crt does not exist/,
        /create \/etc\/openbao-kms\/tls\/ca\.crt/,
      ],
      [
        "credential where ProtectHome hides it",
        () => host.configure({ "auth.jwt.jwtFile": "/root/identity.jwt" }),
        configMend,
        /auth\.jwt\.jwtFile: the JWT \/root\/identity\.jwt cannot be opened/,
        /let the service's user read \/root\/identity\.jwt/,
      ],
      [
        "state where ProtectSystem forbids writing",
        async () => {
          await machine.must("install -d -o openbao-kms -g openbao-kms -m 0750 /var/lib/openbao-kms/other");
          await host.configure({ "state.path": "/var/lib/openbao-kms/other/key-registry.json" });
        },
        configMend,
        /state|registry/,
        /read-only|ReadWritePaths|writ/,
      ],
      [
        "DNS that is not ready",
        () => host.configure({ "openbao.address": "https://openbao.invalid:8200" }),
        configMend,
        /"code":"dns_failed"/,
        /getent hosts NAME/,
      ],
      [
        "certificate of another name",
        () => host.configure({ "openbao.tlsServerName": "wrong.example.com" }),
        configMend,
        /"code":"tls_name_mismatch"/,
        /set openbao\.tlsServerName/,
      ],
      [
        "JWT that has expired",
        () => host.writeJwt(-10),
        () => host.writeJwt(),
        /"error_class":"auth_expired"/,
        /have a fresh JWT written/,
      ],
    ];
    test.each(failures)("%s", async (_, cause, mend, says, mendSaid) => {
      await stop();
      await cause();
      const since = await now();
      await machine.must(`systemctl start --no-block ${unit}`);
      const said = await eventually(
        "the log says so",
        async () => {
          const text = await host.journal(since);
          return says.test(text) && mendSaid.test(text) ? text : undefined;
        },
        { timeoutMs: 10_000 },
      ).catch(async (error: unknown) => {
        throw new Error(`${String(error)}\n${await host.journal(since)}`);
      });
      expect(said).not.toMatch(/eyJ[A-Za-z0-9_-]+\./); // no JWT in any message
      await stop();
      await mend();
    });
  });

  describe("running", () => {
    test("the pages' commands configure and start it", async () => {
      await stop();
      await machine.must(`cd /root; cp ${paths.ca} ca.crt; cp ${paths.jwt} identity.jwt; rm ${paths.ca} ${paths.jwt}
          ${docBlock("systemd.md#configure")}`);
      await host.configure();
      expect(await machine.must(docBlock("systemd.md#doctor"))).not.toContain("✗");
      expect(await machine.must(docBlock("systemd.md#start"))).toContain("active (running)");
      await encrypts();
      expect(await machine.must(docBlock("systemd.md#journal"))).toContain("provider.started");
      machine.put(
        "/etc/kubernetes/encryption-config.yaml",
        await Bun.file(join(root, "deploy", "kubernetes", "encryption-config.yaml")).text(),
        0o600,
      );
      expect(await machine.must(docBlock("systemd.md#doctor-encryption"))).not.toContain("✗");
    });

    test("its exposure is 1.3 at most", async () => {
      const said = await machine.must(docBlock("hardening.md#score"));
      expect(Number(/exposure level for \S+: ([\d.]+)/.exec(said)?.[1])).toBeLessThanOrEqual(1.3);
    });

    test("it encrypts and decrypts with the JIT off, and has no page that is writable and executable", async () => {
      await roundTrip();
      const pid = await host.property("MainPID");
      const maps = await machine.must(`cat /proc/${pid}/maps`);
      expect(maps.split("\n").filter((line) => /^\S+ .wx/.test(line))).toEqual([]);
      expect(await machine.must(`cat /proc/${pid}/limits`)).toMatch(/^Max core file size\s+0\s+0/m);
    });

    test("it needs 64 MiB at most, and answers within a second of its start", async () => {
      for (let call = 0; call < 50; call += 1) {
        await roundTrip();
      }
      const pid = await host.property("MainPID");
      const rssKib = Number(
        await machine.must(`sed -n 's/^VmRSS:\\s*\\([0-9]*\\) kB/\\1/p' /proc/${pid}/status`),
      );
      expect(rssKib).toBeLessThan(64 * 1024);
      await machine.must(`systemctl restart ${unit}`);
      const startMs =
        (await micros("ActiveEnterTimestampMonotonic")) / 1000 -
        (await micros("ExecMainStartTimestampMonotonic")) / 1000;
      console.log(
        `under the unit: RSS ${(rssKib / 1024).toFixed(1)} MiB, exec to a good probe ${startMs.toFixed(0)} ms`,
      );
      expect(startMs).toBeLessThan(3000);
    });
    const micros = async (property: string): Promise<number> => Number(await host.property(property));

    test("variables that would subvert the runtime never reach it", async () => {
      await machine.must(
        `systemctl set-environment BUN_OPTIONS=--smol BUN_BE_BUN=1 NODE_OPTIONS=x LD_PRELOAD=/nothing.so HTTPS_PROXY=http://192.0.2.1:1`,
      );
      await machine.must(`systemctl restart ${unit}`);
      await encrypts();
      const pid = await host.property("MainPID");
      const environment = (await machine.must(`tr '\\0' '\\n' < /proc/${pid}/environ`))
        .split("\n")
        .map((line) => line.split("=")[0]);
      await machine.must(
        "systemctl unset-environment BUN_OPTIONS BUN_BE_BUN NODE_OPTIONS LD_PRELOAD HTTPS_PROXY",
      );
      const ofTheRuntime = environment.filter((name = "") => /^(BUN|NODE|LD_|HTTP|http)/.test(name));
      expect(ofTheRuntime).toEqual(Object.keys(unitEnvironment("on")));
    });

    test("reload keeps the process", async () => {
      const pid = await host.property("MainPID");
      await machine.must(`systemctl reload ${unit}`);
      await roundTrip();
      expect(await host.property("MainPID")).toBe(pid);
    });

    test("kill -9: systemd starts it again, and what was encrypted before is read", async () => {
      const client = host.client();
      const { ciphertext, keyId, annotations } = await client.encrypt(new Uint8Array(32).fill(7));
      const pid = await host.property("MainPID");
      await machine.must(`kill -KILL ${pid}`);
      await eventually(
        "another process runs",
        async () => !["0", pid].includes(await host.property("MainPID")),
        {
          timeoutMs: 15_000,
        },
      );
      await encrypts();
      const { plaintext } = await host.client().decrypt({ ciphertext, keyId, annotations });
      expect(plaintext[0]).toBe(7);
    });

    test("SIGTERM ends it within 5 s, cleanly, and the socket is gone", async () => {
      const began = performance.now();
      await machine.must(`systemctl stop ${unit}`);
      expect(performance.now() - began).toBeLessThan(5000);
      expect(await host.property("Result")).toBe("success");
      expect(await host.property("ExecMainStatus")).toBe("0");
      expect((await machine.sh(`test -e ${paths.socket}`)).status).not.toBe(0);
    });

    test("an OpenBao that comes 30 s late is waited for, without a restart", async () => {
      await host.openbao.kill();
      await machine.must(`rm -f ${paths.registry}*; systemctl start --no-block ${unit}`);
      await Bun.sleep(lateMs);
      const pid = await host.property("MainPID");
      await host.openbao.start();
      await encrypts(30_000);
      expect(await host.property("MainPID")).toBe(pid);
      expect(await host.property("NRestarts")).toBe("0");
    });

    test("an upgrade by the page's commands keeps it answering", async () => {
      await encrypts();
      await machine.must(
        `cd /root\nVERSION=${version}\n${docBlock("upgrade.md#upgrade-deb").replace("install -y", "install -y --reinstall")}`,
      );
      await encrypts();
    });

    test("its network can be narrowed to OpenBao's addresses", async () => {
      const text = await machine.must(`cat ${examples}/drop-ins/openbao-addresses.conf`);
      await dropIn("60-addresses.conf", text.replace("IPAddressAllow=localhost\n", ""));
      const since = await now();
      await machine.must(`systemctl restart --no-block ${unit}`);
      await eventually(
        "OpenBao cannot be reached",
        async () => /"error_class":"(openbao_unavailable|timeout)"/.test(await host.journal(since)),
        {
          timeoutMs: 15_000,
        },
      );
      await dropIn("60-addresses.conf", text);
      await machine.must(`systemctl restart --no-block ${unit}`);
      await encrypts();
      await roundTrip();
      await undoDropIn("60-addresses.conf");
    });

    test("the EncryptionConfiguration is staged by the page's commands", async () => {
      await machine.must(docBlock("kubeadm.md#stage-readers"));
      const staged = "/etc/kubernetes/encryption/encryption-config.yaml";
      expect(await machine.must(`stat -c '%U %a' ${staged}; grep -c identity ${staged}`)).toStartWith(
        "root 600",
      );
      expect(await machine.must(docBlock("kubeadm.md#stage-writers"))).not.toContain("✗");
    });

    test("a JWT that the page's commands sign logs in", async () => {
      const folder = mkdtempSync(join(tmpdir(), "kms-issuer-"));
      try {
        run("sh", ["-ec", docBlock("kubeadm.md#jwt-issuer")], { cwd: folder });
        await host.openbao.operator.must("POST", "auth/jwt/config", {
          jwt_validation_pubkeys: [readFileSync(join(folder, "issuer.pub"), "utf8")],
        });
        await host.place(paths.jwt, readFileSync(join(folder, "identity.jwt"), "utf8"));
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
      const since = await now();
      await machine.must(`systemctl restart ${unit}`);
      await encrypts();
      await eventually(
        "it logs in",
        async () => /"message":"provider.ready"/.test(await host.journal(since)),
        {
          timeoutMs: 10_000,
        },
      );
    });

    test("a crash loop ends after ten starts in a minute", async () => {
      await stop();
      if (!fullMatrix) {
        await dropIn("90-fast.conf", "[Service]\nRestartSec=200ms\n");
      }
      await host.configure({ "server.socketMode": "0777" });
      const since = await now();
      try {
        await start();
        await eventually("systemd gives up", async () => (await host.property("SubState")) === "failed", {
          timeoutMs: 90_000,
          everyMs: 200,
        });
        const starts = (await host.journal(since)).match(/server\.socketMode \("0777"\)/g) ?? [];
        expect(starts.length).toBe(10);
      } finally {
        await host.configure();
        await undoDropIn("90-fast.conf");
      }
      await machine.must(`systemctl reset-failed ${unit}; systemctl start ${unit}`);
      await encrypts();
    });
  });

  describe("starting", () => {
    test("the path unit starts it when its JWT appears, and not again after it was stopped", async () => {
      await stop();
      await machine.must(`mv ${paths.jwt} ${paths.jwt}.away`);
      await machine.must(docBlock("systemd.md#path-unit"));
      await start();
      expect(await state()).toBe("inactive");
      await machine.must(`mv ${paths.jwt}.away ${paths.jwt}`);
      await eventually("it runs", async () => (await state()) === "active", { timeoutMs: 30_000 });
      await machine.must(`systemctl stop ${unit}`);
      await Bun.sleep(500);
      expect(await state()).toBe("inactive");
      await machine.must("systemctl disable --now bao-kms-provider.path");
    });

    test("the root helper makes the runtime directory where tmpfiles.d does not", async () => {
      await stop();
      await machine.must(docBlock("linux-identity.md#directory-helper"));
      await machine.must(`rm -r ${paths.directory}; systemctl start ${unit}`);
      expect(await machine.must(`stat -c '%U:%G %a' ${paths.directory}`)).toBe(
        "openbao-kms:openbao-kms-socket 2750",
      );
      await encrypts();
      await machine.must(`rm /etc/systemd/system/bao-kms-provider-directory.service`);
      await undoDropIn("20-directory.conf");
    });

    test.each([
      ["k3s", "k3s.service"],
      ["rke2", "rke2-server.service"],
    ])("the drop-in for %s orders it before %s", async (name, service) => {
      await machine.must(
        `install -m 0644 -D ${examples}/drop-ins/${name}.conf ${dropIns}/40-order.conf; systemctl daemon-reload`,
      );
      expect((await host.property("Before")).split(" ")).toContain(service);
      await undoDropIn("40-order.conf");
    });

    test("after a reboot the directory is there again, and the socket answers before kubelet starts", async () => {
      machine.put(
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
      await machine.must(`systemctl daemon-reload; systemctl enable kubelet.service ${unit}`);
      await machine.powerOff();
      await machine.boot();
      expect(await machine.must("cat /var/tmp/kubelet-saw")).toBe("socket 660");
      expect(await machine.must(`stat -c '%U:%G %a' ${paths.directory}`)).toBe(
        "openbao-kms:openbao-kms-socket 2750",
      );
      await encrypts();
      const [provider, kubelet] = await Promise.all([
        machine.must(`systemctl show --property=ActiveEnterTimestampMonotonic --value ${unit}`),
        machine.must("systemctl show --property=ExecMainStartTimestampMonotonic --value kubelet.service"),
      ]);
      expect(Number(provider)).toBeLessThan(Number(kubelet));
    });

    test("a boot without OpenBao does not keep kubelet from starting", async () => {
      await host.openbao.kill();
      await machine.must(`rm -f ${paths.registry}* /var/tmp/kubelet-saw`);
      await machine.powerOff();
      const began = performance.now();
      await machine.boot();
      const bootMs = performance.now() - began;
      expect(await machine.must("cat /var/tmp/kubelet-saw")).toBe("socket 660");
      expect(bootMs).toBeLessThan(35_000);
      await host.openbao.start();
      await encrypts(60_000);
    });
  });
});
