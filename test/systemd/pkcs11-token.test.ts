/** Login with a certificate whose key stays in a PKCS#11 token, under the whole unit with its drop-in. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { provisionCertLogin } from "../fakes/openbao/provision.ts";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { eventually } from "../harness/eventually.ts";
import { releaseTools, testRelease } from "../packaging/artefacts.ts";
import { encryptCredential, type ProviderMachine, paths, providerMachine, unit } from "./provider-machine.ts";
import { describeOnMachine, machineTimeoutMs } from "./systemd-suite.ts";

setDefaultTimeout(machineTimeoutMs);

const example = "/usr/share/doc/bao-kms-provider/examples/systemd/drop-ins/cert-pkcs11.conf";
const encryptedPin = "/usr/share/doc/bao-kms-provider/examples/systemd/drop-ins/encrypted-pin.conf";
const dropIn = `/etc/systemd/system/${unit}.d/50-credential.conf`;
const pin = "482913";
const asService =
  "SOFTHSM2_CONF=/etc/softhsm/softhsm2.conf runuser -u openbao-kms -g openbao-kms -G softhsm --";

describeOnMachine(
  "certificate with its key in a PKCS#11 token",
  { ...releaseTools, bao: "none: an OpenBao binary on PATH", cargo: "none: Rust 1.88, for native/build" },
  () => {
    let host: ProviderMachine;
    const fields = {
      "auth.method": "cert",
      "auth.cert.mountPath": "auth/cert",
      "auth.cert.name": "kms",
      "auth.cert.source": "pkcs11",
      "auth.cert.pkcs11.certificateFile": paths.chain,
      "auth.cert.pkcs11.modulePath": "/usr/lib/softhsm/libsofthsm2.so",
      "auth.cert.pkcs11.tokenLabel": "kms",
      "auth.cert.pkcs11.keyLabel": "client",
      "auth.cert.pkcs11.pinFile": paths.pin,
    };

    beforeAll(async () => {
      expect(testRelease().native, "the release has no addons; run native/build dist/native first").toBe(
        true,
      );
      host = await providerMachine();
      const { machine, openbao } = host;
      const ca = await makeTestCa({ commonName: "control plane CA" });
      const role = { allowed_common_names: ["control-plane-1"], token_ttl: "20m" };
      await provisionCertLogin(openbao.operator, { caPem: ca.certPem, policyName: "kms-provider" }, role);
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
      machine.put("/run/key.pem", privateKey.export({ type: "pkcs8", format: "pem" }));
      await machine.must(`
        chown openbao-kms:softhsm /var/lib/softhsm/tokens
        ${asService} softhsm2-util --init-token --free --label kms --so-pin 12345678 --pin ${pin}
        ${asService} softhsm2-util --import /run/key.pem --token kms --label client --id 01 --pin ${pin}
        rm /run/key.pem`);
      const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
      const notAfter = new Date(Date.now() + 72 * 3_600_000);
      await host.place(
        paths.chain,
        (await ca.certify(spki, { commonName: "control-plane-1", notAfter })).chainPem,
      );
      await host.place(paths.pin, pin);
      await host.configure(fields);
      // The lines that SoftHSM needs are in the example, to be switched on.
      await machine.must(`
        rm ${paths.jwt}
        mkdir -p "$(dirname ${dropIn})"
        sed -E 's/^#(ReadWritePaths|SupplementaryGroups=softhsm|Environment)/\\1/' ${example} > ${dropIn}
        systemctl daemon-reload
        systemctl enable ${unit}`);
    });
    afterAll(() => host.dispose());

    test("it logs in and encrypts, with the JIT off and no page that is writable and executable", async () => {
      await host.machine.must(`systemctl start ${unit}`);
      await host.encrypts();
      const { ciphertext } = await host.client().encrypt(new Uint8Array(32));
      expect(ciphertext.length).toBeGreaterThan(32);
      const pid = await host.property("MainPID");
      expect(
        (await host.machine.must(`cat /proc/${pid}/maps`))
          .split("\n")
          .filter((line) => /^\S+ .wx/.test(line)),
      ).toEqual([]);
      expect(await host.journal()).not.toContain(pin);
      // The helper that held the token is gone, and its memory with it.
      expect((await host.machine.sh("grep -l 'pkcs11-helpe[r]' /proc/[0-9]*/cmdline")).stdout).toBe("");
    });

    test("a PIN that the token refuses ends it with exit code 6, and systemd does not try again", async () => {
      await host.machine.must(`systemctl stop ${unit}; rm -f ${paths.registry}*`);
      await host.place(paths.pin, "000000");
      await host.configure({ ...fields, "bootstrap.graceTimeout": "3s" });
      await host.machine.must(`systemctl start --no-block ${unit}`);
      await eventually("it has failed", async () => (await host.property("SubState")) === "failed", {
        timeoutMs: 30_000,
      });
      expect(await host.property("ExecMainStatus")).toBe("6");
      expect(await host.property("NRestarts")).toBe("0");
    });

    test("a new PIN file clears it", async () => {
      await host.place(paths.pin, pin);
      await host.machine.must(`systemctl reset-failed ${unit}; systemctl start ${unit}`);
      await host.encrypts();
    });

    test("a PIN that is on the disk only encrypted opens the token", async () => {
      await encryptCredential(host.machine, "pin", pin);
      await host.configure({
        ...fields,
        "auth.cert.pkcs11.pinFile": `/run/credentials/${unit}/pin`,
      });
      // Beside the drop-in with the lines that SoftHSM needs; its conditions replace that one's.
      await host.machine.must(`
        systemctl stop ${unit}
        rm ${paths.pin}
        install -m 0644 ${encryptedPin} ${dropIn.replace("50-credential", "60-pin")}
        systemctl daemon-reload
        systemctl start ${unit}`);
      await host.encrypts();
      expect((await host.machine.sh(`grep -rlF ${pin} /etc`)).stdout).toBe("");
    });
  },
);
