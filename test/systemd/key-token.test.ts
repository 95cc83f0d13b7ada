/**
 * Certificate login with a key token under the whole hardened unit: no JIT, a read-only system, a private /tmp, system call filters,
 * the addons where the package puts them.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SOFTHSM_MODULE } from "../fakes/pkcs11/requirements.ts";
import { makeSoftToken, type SoftToken, TOKEN_LABEL, USER_PIN } from "../fakes/pkcs11/soft-token.ts";
import { makeTestCa } from "../fakes/tls/test-ca.ts";
import { releaseTools } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { eventually } from "../real/harness/eventually.ts";
import { type ProviderMachine, paths, providerMachine, unit } from "./provider-machine.ts";
import { describeOnMachine, machineTimeoutMs } from "./systemd-suite.ts";

const needs = { ...releaseTools, bao: "none: an OpenBao binary on PATH", "softhsm2-util": "softhsm2" };
const TOKENS = "/var/lib/softhsm/tokens";
const CONFIGURATION = "/etc/softhsm/softhsm2.conf";
const MODULE = "/usr/lib/softhsm/libsofthsm2.so";
/** Beside the C library, which the machine has. */
const LIBRARIES = ["libcrypto.so.3", "libstdc++.so.6", "libgcc_s.so.1"];

setDefaultTimeout(machineTimeoutMs);

describeOnMachine("unit with a key token", needs, () => {
  let host: ProviderMachine;
  let token: SoftToken;
  beforeAll(async () => {
    host = await providerMachine();
    token = makeSoftToken();
    const ca = await makeTestCa({ commonName: "control plane CA" });
    const spki = token.makeKey("client", "P-256");
    const notAfter = new Date(Date.now() + 72 * 3_600_000);
    const { chainPem } = await ca.certify(spki, { commonName: "control-plane-1", notAfter });
    await host.openbao.operator.must("POST", "sys/auth/cert", { type: "cert" });
    await host.openbao.operator.must("POST", "auth/cert/certs/kms", {
      certificate: ca.certPem,
      allowed_common_names: ["control-plane-1"],
      token_policies: ["kms-provider"],
      token_ttl: "20m",
    });
    await installSoftHsm(chainPem);
  });
  afterAll(async () => {
    token[Symbol.dispose]();
    await host.dispose();
  });

  const installSoftHsm = async (chainPem: string): Promise<void> => {
    const { machine, names } = host;
    const copy = (from: string, to: string): void => {
      mkdirSync(dirname(machine.path(to)), { recursive: true });
      copyFileSync(from, machine.path(to));
    };
    copy(SOFTHSM_MODULE, MODULE);
    for (const library of LIBRARIES) {
      copy(join("/lib/x86_64-linux-gnu", library), join("/usr/lib/x86_64-linux-gnu", library));
    }
    const tokens = join(token.directory, "tokens");
    for (const file of readdirSync(tokens, { recursive: true, withFileTypes: true })) {
      if (file.isFile()) {
        const from = join(file.parentPath, file.name);
        machine.put(join(TOKENS, from.slice(tokens.length)), readFileSync(from), 0o600);
      }
    }
    machine.put(CONFIGURATION, `directories.tokendir = ${TOKENS}\n`);
    machine.put(paths.chain, chainPem, 0o640);
    machine.put(paths.pin, `${USER_PIN}\n`, 0o640);
    machine.put(
      `/etc/systemd/system/${unit}.d/60-softhsm.conf`,
      `[Service]\nReadWritePaths=${TOKENS}\nEnvironment=SOFTHSM2_CONF=${CONFIGURATION}\n`,
    );
    await machine.must(
      `chown -R ${names.user}:${names.group} ${TOKENS}; chown root:${names.group} ${paths.chain} ${paths.pin}\n${docBlock("systemd.md#credential-drop-in")}`,
    );
    await host.configure({
      "auth.method": "cert",
      "auth.cert.mountPath": "auth/cert",
      "auth.cert.source": "pkcs11",
      "auth.cert.pkcs11.certificateFile": paths.chain,
      "auth.cert.pkcs11.modulePath": MODULE,
      "auth.cert.pkcs11.tokenLabel": TOKEN_LABEL,
      "auth.cert.pkcs11.keyLabel": "client",
      "auth.cert.pkcs11.pinFile": paths.pin,
    });
  };

  test("logs in and encrypts, and leaves no helper behind", async () => {
    const { machine } = host;
    const started = await machine.sh(`systemctl start ${unit}`);
    expect(`${started.stderr}${started.status}`).toBe("0");
    await eventually("the provider encrypts", async () => (await host.client().status()).healthz === "ok", {
      timeoutMs: 20_000,
    });
    const { stdout } = await machine.sh("grep -l 'pkcs11-helpe[r]' /proc/[0-9]*/cmdline");
    expect(stdout).toBe("");
  });

  test("ends with 6 for a refused PIN without a registry, and systemd does not start it again", async () => {
    const { machine } = host;
    await machine.must(`systemctl stop ${unit}; rm -f /var/lib/openbao-kms/state/*`);
    await machine.must(
      `printf 000000 > ${paths.pin}; printf '[Service]\\nExecStartPost=\\n' > /etc/systemd/system/${unit}.d/70-test.conf; sed -i 's/^bootstrap:.*//' ${paths.config}; printf 'bootstrap:\\n  graceTimeout: 2s\\n' >> ${paths.config}; systemctl daemon-reload; systemctl start ${unit}`,
    );
    await eventually("the unit has failed", async () => (await host.property("ActiveState")) === "failed", {
      timeoutMs: 30_000,
    });
    expect(await host.property("ExecMainStatus")).toBe("6");
    expect(await host.property("NRestarts")).toBe("0");
  });
});
