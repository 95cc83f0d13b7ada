/**
 * @module A machine with the deb installed, configured for a real OpenBao that runs outside it. The network is shared, so the
 * machine reaches OpenBao on the host's loopback.
 */
import { copyFileSync } from "node:fs";
import { basename, join } from "node:path";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { provision } from "../fakes/openbao/provision.ts";
import { eventually } from "../harness/eventually.ts";
import { freePorts } from "../harness/free-port.ts";
import { type KmsClient, openKmsClient } from "../harness/kms-client.ts";
import { startOpenBao } from "../harness/openbao.ts";
import { needBinary } from "../harness/real-suite.ts";
import { root, testRelease, version } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { type FieldChanges, openbaoFields, sampleWith } from "../packaging/sample-config.ts";
import { defaultNames, type Names } from "./identity-table.ts";
import { type Machine, newMachine } from "./machine.ts";

export const unit = "bao-kms-provider.service";
export const paths = {
  config: "/etc/openbao-kms/config.yaml",
  ca: "/etc/openbao-kms/tls/ca.crt",
  jwt: "/var/lib/openbao-kms/identity.jwt",
  chain: "/etc/openbao-kms/client/client-chain.pem",
  pin: "/etc/openbao-kms/pkcs11/pin",
  registry: "/var/lib/openbao-kms/state/key-registry.json",
  directory: "/run/openbao-kms",
  socket: "/run/openbao-kms/kms.sock",
} as const;

/** Copies `file` to /root of the machine, where the commands of the pages expect what was downloaded. */
export function download(machine: Machine, file: string): void {
  copyFileSync(file, machine.path(`/root/${basename(file)}`));
}

export type ProviderMachine = Awaited<ReturnType<typeof providerMachine>>;

export async function providerMachine(
  names: Names = defaultNames,
  makeMachine: () => Promise<Machine> = newMachine,
) {
  const [machine, openbao, [metricsPort = 0, healthPort = 0]] = await Promise.all([
    makeMachine(),
    startOpenBao(needBinary("bao")),
    freePorts(2),
  ]);
  const clients: KmsClient[] = [];
  try {
    await machine.boot();
    download(machine, testRelease().artefact("", "deb"));
    if (names !== defaultNames) {
      await chooseNames(machine, names);
    }
    await machine.must(`cd /root\nVERSION=${version}\n${docBlock("install.md#deb")}`);
    const issuer = makeJwtIssuer();
    const provisioned = await provision(openbao.operator, issuer.publicKeyPem);
    /** Puts a file in place in one step, owned as the identity model has it. */
    const place = async (path: string, text: string, owner = `root:${names.group}`, mode = "0640") => {
      machine.put(`${path}.new`, text, 0o600);
      await machine.must(`chown ${owner} ${path}.new; chmod ${mode} ${path}.new; mv ${path}.new ${path}`);
    };
    /** Writes the configuration; `changes` set fields by path, such as "openbao.tlsServerName". */
    const configure = async (changes: FieldChanges = {}) =>
      place(
        paths.config,
        await sampleWith("provider-systemd.yaml", {
          "server.metricsAddress": `127.0.0.1:${metricsPort}`,
          "server.healthAddress": `127.0.0.1:${healthPort}`,
          "server.socketGroup": names.socketGroup,
          ...openbaoFields(openbao.address, provisioned),
          ...changes,
        }),
      );
    const writeJwt = (lifetimeSeconds?: number) =>
      place(paths.jwt, issuer.sign(identityClaims(provisioned, Date.now(), lifetimeSeconds)));
    await configure();
    await writeJwt();
    await place(paths.ca, openbao.caPem, "root:root", "0644");
    // Credentials of other methods, so that the access matrix has every row.
    await place(paths.chain, "chain");
    await place(paths.pin, "1234");
    /** A client on the machine's socket; closed with the machine. */
    const client = (): KmsClient => {
      const opened = openKmsClient(machine.path(paths.socket));
      clients.push(opened);
      return opened;
    };
    return {
      machine,
      openbao,
      names,
      configure,
      writeJwt,
      place,
      client,
      /** Resolves when the provider is well. */
      encrypts: (timeoutMs = 20_000) =>
        eventually("the provider encrypts", async () => (await client().status()).healthz === "ok", {
          timeoutMs,
        }),
      /** One value of `systemctl show`. */
      property: (name: string) => machine.must(`systemctl show --property=${name} --value ${unit}`),
      /** What the service wrote since `since`, a time of the journal. */
      journal: (since = "today") =>
        machine.must(`journalctl --unit=${unit} --since='${since}' --output=cat --no-pager`),
      dispose: async () => {
        clients.forEach((each) => each.close());
        await Promise.all([machine.remove(), openbao.dispose()]);
      },
    };
  } catch (error) {
    await Promise.all([machine.remove(), openbao.dispose()]);
    throw error;
  }
}

/** What the page's command does: encrypts with the host's key. The text reaches the machine by a file that is removed. */
export async function encryptCredential(machine: Machine, name: string, text: string): Promise<void> {
  const stored = `/etc/credstore.encrypted/openbao-kms.${name}`;
  machine.put("/run/plaintext", text, 0o600);
  await machine.must(`systemd-creds setup
mkdir -p -m 0700 /etc/credstore.encrypted
systemd-creds encrypt --with-key=host --name=${name} /run/plaintext ${stored}
rm /run/plaintext`);
}

async function chooseNames(machine: Machine, { user, socketGroup }: Names): Promise<void> {
  for (const [path, file] of [
    ["openbao-kms-sysusers/openbao-kms.conf", "package/linux/sysusers.d/openbao-kms.conf"],
    ["openbao-kms-tmpfiles/openbao-kms.conf", "package/linux/tmpfiles.d/openbao-kms.conf"],
    ["30-identity.conf", "systemd/drop-ins/identity-names.conf"],
  ] as const) {
    const text = await Bun.file(join(root, "deploy", file)).text();
    machine.put(
      `/root/${path}`,
      text
        .replace(/openbao-kms-socket|kmsd-clients/g, socketGroup)
        .replace(/(?<![/\w-])(openbao-kms|kmsd)(?![/\w.-])/g, user),
    );
  }
  await machine.must(`cd /root\n${docBlock("linux-identity.md#other-names")}`);
}
