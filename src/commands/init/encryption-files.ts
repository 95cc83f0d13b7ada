/**
 * The two EncryptionConfiguration files of a migration: first every API server learns to read, then they write.
 *
 * @module Pure. With a current file each of its providers stays a reader in both phases; without one the cluster is taken to
 * encrypt nothing yet, and both files say so on top.
 */
import { stringify } from "yaml";
import { Secret } from "../../base/secret.ts";
import {
  type EncryptionConfig,
  type EncryptionProvider,
  groupFor,
  type ResourceGroup,
} from "../../kubernetes/encryption-config.ts";
import { InitError } from "./errors.ts";

export interface EncryptionFiles {
  /** Phase 1: writes as before, reads KMS too. Holds the keys of the current file. */
  readonly readers: string;
  /** Phase 2: writes with KMS, reads all that was there. */
  readonly writers: string;
}

export interface EncryptionFilesRequest {
  readonly providerName: string;
  readonly socketPath: string;
  readonly current: EncryptionConfig | undefined;
}

const RESOURCE = "secrets";
const API_TIMEOUT = "3s";
const IDENTITY: EncryptionProvider = {
  kind: "identity",
  source: new Secret('{"identity":{}}'),
};

const PLAIN_CLUSTER = `# ONLY for a cluster that encrypts nothing in etcd yet. If kube-apiserver already runs with an EncryptionConfiguration, its
# providers are missing here and what they wrote would become unreadable: make these files again with
# bao-kms-provider init --current-encryption-config FILE
`;

const PHASE_1 = `# Phase 1: every API server learns to read with KMS and still writes as before. Roll it out to all control-plane nodes
# before phase 2: an API server without it cannot read what another writes then.
`;

const PHASE_2 = `# Phase 2: new writes are encrypted by KMS; what was written before stays readable until it has been rewritten. Only after
# phase 1 runs on all control-plane nodes.
`;

/** @throws InitError when the current file already uses the name in another way. */
export function encryptionFiles({
  providerName,
  socketPath,
  current,
}: EncryptionFilesRequest): EncryptionFiles {
  const config: EncryptionConfig = current ?? { groups: [{ resources: [RESOURCE], providers: [IDENTITY] }] };
  const endpoint = `unix://${socketPath}`;
  const kms: EncryptionProvider = {
    kind: "kms",
    apiVersion: "v2",
    name: providerName,
    endpoint,
    timeoutMs: 3000,
    source: new Secret(
      JSON.stringify({ kms: { apiVersion: "v2", name: providerName, endpoint, timeout: API_TIMEOUT } }),
    ),
  };
  const isOurs = (provider: EncryptionProvider): boolean =>
    provider.kind === "kms" && provider.name === providerName;
  checkCurrent(config, isOurs, endpoint, providerName);

  // kube-apiserver takes the name of a KMS v2 provider only once in a file, so it serves the one group of Secrets.
  const group = groupFor(config, RESOURCE) ?? { resources: [RESOURCE], providers: [IDENTITY] };
  const [writer = IDENTITY, ...rest] = group.providers.filter((provider) => !isOurs(provider));
  const before = current === undefined ? PLAIN_CLUSTER : "";
  return {
    readers: before + PHASE_1 + fileText(config, group, [writer, kms, ...rest]),
    writers: before + PHASE_2 + fileText(config, group, [kms, writer, ...rest]),
  };
}

function checkCurrent(
  config: EncryptionConfig,
  isOurs: (provider: EncryptionProvider) => boolean,
  endpoint: string,
  providerName: string,
): void {
  for (const { resources, providers } of config.groups) {
    for (const provider of providers) {
      if (provider.kind !== "kms" || !isOurs(provider)) {
        continue;
      }
      const isSame = provider.apiVersion === "v2" && provider.endpoint === endpoint;
      const isHere = groupFor(config, RESOURCE)?.resources === resources;
      if (!isSame || !isHere) {
        throw new InitError(
          "current_config_conflict",
          `--current-encryption-config: a KMS provider named ${JSON.stringify(providerName)} is already there, for other resources, with another endpoint or another apiVersion`,
          "choose another transit.keyIdScope.providerName, or correct that entry of the current file first",
        );
      }
    }
  }
}

/** The configuration with other providers for one group, which is added when it is not among them. */
function fileText(
  config: EncryptionConfig,
  changed: ResourceGroup,
  providers: readonly EncryptionProvider[],
): string {
  const groups = config.groups.includes(changed) ? config.groups : [...config.groups, changed];
  return stringify(
    {
      apiVersion: "apiserver.config.k8s.io/v1",
      kind: "EncryptionConfiguration",
      resources: groups.map((group) => ({
        resources: group.resources,
        providers: (group === changed ? providers : group.providers).map(({ source }) =>
          JSON.parse(source.expose()),
        ),
      })),
    },
    { lineWidth: 0 },
  );
}
