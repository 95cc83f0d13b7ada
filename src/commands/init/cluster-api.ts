/** @module The KubeadmControlPlane of Cluster API. Keys and credentials are references to one Secret, never text of the manifest. */
import { dirname } from "node:path";
import { parse, stringify } from "yaml";
import type { ProviderConfig } from "../../config/schema.ts";
import { credentialFiles } from "../credential-files.ts";
import { refuseWhen } from "./errors.ts";
import { kubeApiServerPatch, kubeadmConfig, SERVICE_USER, staticPodManifest } from "./manifests.ts";

/** The Secret of the management cluster that the machine's files come from. */
export const SECRET_NAME = "openbao-kms";
const READERS_KEY = "encryption-config-readers.yaml";
const WRITERS_KEY = "encryption-config.yaml";
const CA_KEY = "ca.crt";

const CONFIG_FILE = "/etc/openbao-kms/config.yaml";
const TMPFILES = "/etc/tmpfiles.d/openbao-kms.conf";
const PATCHES = "/etc/kubernetes/patches";
const ENCRYPTION_CONFIG = "/etc/kubernetes/encryption/encryption-config.yaml";
/** `maxLength` of a file's content and path in the CustomResourceDefinition. */
const MAX_CONTENT = 10_240;
const MAX_PATH = 512;
/** Cluster API's cloud-config is a Jinja template. */
const JINJA = /\{[{%#]/;

const HEADER = `# Made by bao-kms-provider init for Cluster API. Replace metadata.name, spec.replicas, spec.version and spec.machineTemplate by
# your cluster's. For a control plane that exists, add the entries of spec.kubeadmConfigSpec to it.
# Phase 1: machines read with KMS and write as before. Phase 2, after the roll-out: change the key ${READERS_KEY}
# to ${WRITERS_KEY}. A new cluster, which has stored nothing, starts with phase 2.
`;

export function kubeadmControlPlane(
  config: ProviderConfig,
  configText: string,
  image: string,
  socketGid: number,
): string {
  const patches = { directory: PATCHES };
  const manifest = {
    apiVersion: "controlplane.cluster.x-k8s.io/v1beta2",
    kind: "KubeadmControlPlane",
    metadata: { name: "control-plane" },
    spec: {
      replicas: 3,
      version: "v1.37.2",
      machineTemplate: {
        spec: {
          infrastructureRef: {
            apiGroup: "infrastructure.cluster.x-k8s.io",
            kind: "DockerMachineTemplate",
            name: "control-plane",
          },
        },
      },
      kubeadmConfigSpec: {
        clusterConfiguration: { apiServer: parse(kubeadmConfig(config.server.socketPath)).apiServer },
        initConfiguration: { patches },
        joinConfiguration: { patches },
        files: [
          inline(CONFIG_FILE, configText),
          ...secretFiles(config).map(({ path, key }) => fromSecret(path, key)),
          fromSecret(ENCRYPTION_CONFIG, READERS_KEY),
          inline(TMPFILES, tmpfiles(config, socketGid)),
          inline(`${PATCHES}/kube-apiserver0+strategic.yaml`, kubeApiServerPatch(socketGid)),
          inline(
            "/etc/kubernetes/manifests/bao-kms-provider.yaml",
            staticPodManifest(config, image, socketGid),
          ),
        ],
        preKubeadmCommands: [
          `groupadd --system --gid ${socketGid} openbao-kms-socket`,
          `systemd-tmpfiles --create ${TMPFILES}`,
        ],
      },
    },
  };
  return HEADER + stringify(manifest, { lineWidth: 0 });
}

/** The keys that the Secret must have. */
export function secretKeys(config: ProviderConfig): readonly string[] {
  return [...secretFiles(config).map(({ key }) => key), READERS_KEY, WRITERS_KEY];
}

/** What the machine has from its image, or from an agent that runs on it. */
export function filesOfMachine(config: ProviderConfig): readonly string[] {
  const given = new Set(secretFiles(config).map(({ path }) => path));
  return readFiles(config).flatMap(({ path }) => (given.has(path) ? [] : [path]));
}

const OWNED = { owner: "root:root", permissions: "0600" };

function fromSecret(path: string, key: string): object {
  checkLength(path, path.length, MAX_PATH);
  return { path, ...OWNED, contentFrom: { secret: { name: SECRET_NAME, key } } };
}

function inline(path: string, content: string): object {
  checkLength(path, content.length, MAX_CONTENT);
  refuseWhen(
    JINJA.test(content),
    `--model cluster-api: ${path} has {{, {% or {# in it, which cloud-init takes for a template`,
    "write the values without these characters",
  );
  return { path, ...OWNED, content };
}

function checkLength(path: string, length: number, limit: number): void {
  refuseWhen(
    length > limit,
    `--model cluster-api: ${path} has ${length} characters, and a KubeadmControlPlane accepts ${limit}`,
    "shorten the values file or the path",
  );
}

/** Each path once: a certificate and its key may be one file, and so may two CA bundles. */
function secretFiles(config: ProviderConfig) {
  const files = new Map<string, string>();
  for (const { path, secretKey } of readFiles(config)) {
    if (secretKey !== undefined && isOurs(path) && !files.has(path)) {
      files.set(path, secretKey);
    }
  }
  return [...files].map(([path, key]) => ({ path, key }));
}

const readFiles = ({ openbao, auth }: ProviderConfig) => [
  { path: openbao.caCertFile, secretKey: CA_KEY },
  ...credentialFiles(auth),
];

/** Other directories belong to the machine: /etc/ssl/certs or /run/spire keep their files and their modes. */
const isOurs = (path: string): boolean => /^\/(?:etc|var\/lib|run)\/openbao-kms\//.test(path);

/** cloud-init accepts no owner by number, so systemd-tmpfiles gives the files the group of user 65532. */
function tmpfiles(config: ProviderConfig, socketGid: number): string {
  const { state, server } = config;
  const read = [CONFIG_FILE, ...readFiles(config).map(({ path }) => path)];
  const directories = new Map(
    [
      ...read.map((path) => [path, `0750 root ${SERVICE_USER}`] as const),
      [state.path, `0750 ${SERVICE_USER} ${SERVICE_USER}`] as const,
      [server.socketPath, `2750 ${SERVICE_USER} ${socketGid}`] as const,
    ]
      .filter(([path]) => isOurs(path))
      .map(([path, rest]) => [dirname(path), rest]),
  );
  const files = [CONFIG_FILE, ...secretFiles(config).map(({ path }) => path)];
  return [
    "# Made by bao-kms-provider init: the directories of the static pod, and the group of the files that it reads.",
    ...[...directories].map(([path, rest]) => `d ${tmpfilesWord(path)} ${rest} -`),
    ...files.map((path) => `z ${tmpfilesWord(path)} 0640 root ${SERVICE_USER} -`),
    "",
  ].join("\n");
}

/** systemd-tmpfiles expands % and reads words in quotes. */
const tmpfilesWord = (path: string): string => `"${path.replaceAll("%", "%%").replace(/["\\]/g, "\\$&")}"`;
