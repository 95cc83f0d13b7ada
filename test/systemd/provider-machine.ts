/**
 * @module A machine with the deb installed, configured for a real OpenBao that runs outside it. The network is shared, so the
 * machine reaches OpenBao on the host's loopback.
 */
import { copyFileSync } from "node:fs";
import { basename, join } from "node:path";
import { identityClaims, type JwtIssuer, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { type Provisioning, provision } from "../fakes/openbao/provision.ts";
import { freePorts } from "../harness/free-port.ts";
import { type KmsClient, openKmsClient } from "../harness/kms-client.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { needBinary } from "../harness/real-suite.ts";
import { root, testRelease, version } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { type FieldChanges, openbaoFields, sampleWith } from "../packaging/sample-config.ts";
import type { Names } from "./identity-table.ts";
import { defaultNames } from "./identity-table.ts";
import type { Machine } from "./machine.ts";
import { newMachine } from "./machine.ts";

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

export interface ProviderMachine {
  readonly machine: Machine;
  readonly openbao: RealOpenBao;
  readonly names: Names;
  readonly healthPort: number;
  /** Writes the configuration; `changes` set fields by path, such as "openbao.tlsServerName". */
  readonly configure: (changes?: FieldChanges) => Promise<void>;
  readonly writeJwt: (lifetimeSeconds?: number) => Promise<void>;
  /** Puts a file in place in one step, owned as the identity model has it. */
  readonly place: (path: string, text: string) => Promise<void>;
  /** A client on the machine's socket; closed with the machine. */
  readonly client: () => KmsClient;
  /** One value of `systemctl show`. */
  readonly property: (name: string) => Promise<string>;
  /** What the service wrote since `since`, a time of the journal. */
  readonly journal: (since?: string) => Promise<string>;
  readonly dispose: () => Promise<void>;
}

/** Copies `file` to /root of the machine, where the commands of the pages expect what was downloaded. */
export function download(machine: Machine, file: string): void {
  copyFileSync(file, machine.path(`/root/${basename(file)}`));
}

export async function providerMachine(
  names: Names = defaultNames,
  makeMachine: () => Promise<Machine> = newMachine,
): Promise<ProviderMachine> {
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
    const place = placer(machine, names);

    const configure: ProviderMachine["configure"] = async (changes = {}) =>
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
    const writeJwt: ProviderMachine["writeJwt"] = (lifetimeSeconds) =>
      place(paths.jwt, jwt(issuer, provisioned, lifetimeSeconds));
    await configure();
    await writeJwt();
    await place(paths.ca, openbao.caPem, "root:root", "0644");
    // Credentials of other methods, so that the access matrix has every row.
    await place(paths.chain, "chain");
    await place(paths.pin, "1234");
    return {
      machine,
      openbao,
      names,
      healthPort,
      configure,
      writeJwt,
      place: (path, text) => place(path, text),
      client: () => {
        const client = openKmsClient(machine.path(paths.socket));
        clients.push(client);
        return client;
      },
      property: (name) => machine.must(`systemctl show --property=${name} --value ${unit}`),
      journal: (since = "today") =>
        machine.must(`journalctl --unit=${unit} --since='${since}' --output=cat --no-pager`),
      dispose: async () => {
        clients.forEach((client) => client.close());
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

function placer(machine: Machine, names: Names) {
  return async (path: string, text: string, owner = `root:${names.group}`, mode = "0640"): Promise<void> => {
    machine.put(`${path}.new`, text, 0o600);
    await machine.must(`chown ${owner} ${path}.new; chmod ${mode} ${path}.new; mv ${path}.new ${path}`);
  };
}

async function chooseNames(machine: Machine, { user, socketGroup }: Names): Promise<void> {
  const renamed = (file: string): Promise<string> =>
    Bun.file(join(root, "deploy", file))
      .text()
      .then((text) =>
        text
          .replace(/openbao-kms-socket|kmsd-clients/g, socketGroup)
          .replace(/(?<![/\w-])(openbao-kms|kmsd)(?![/\w.-])/g, user),
      );
  const linux = "package/linux";
  machine.put(
    "/root/openbao-kms-sysusers/openbao-kms.conf",
    await renamed(`${linux}/sysusers.d/openbao-kms.conf`),
  );
  machine.put(
    "/root/openbao-kms-tmpfiles/openbao-kms.conf",
    await renamed(`${linux}/tmpfiles.d/openbao-kms.conf`),
  );
  machine.put("/root/30-identity.conf", await renamed("systemd/drop-ins/identity-names.conf"));
  await machine.must(`cd /root\n${docBlock("linux-identity.md#other-names")}`);
}

function jwt(issuer: JwtIssuer, names: Provisioning, lifetimeSeconds?: number): string {
  return issuer.sign(identityClaims(names, Date.now(), lifetimeSeconds));
}
