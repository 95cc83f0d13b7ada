/** @module The two EncryptionConfiguration files of a migration: first every API server learns to read, then they write. */
import { Document, visit } from "yaml";
import {
  type EncryptionConfig,
  type EncryptionProvider,
  groupsFor,
  type KmsProvider,
  type ResourceGroup,
} from "../../kubernetes/encryption-config/config.ts";
import { socketPathOf } from "../../kubernetes/encryption-config/kms-endpoint.ts";
import { plainScalar } from "../../kubernetes/encryption-config/plain-scalar.ts";
import { InitError } from "./errors.ts";

const RESOURCE = "secrets";
const API_TIMEOUT = "3s";
const IDENTITY: EncryptionProvider = { kind: "identity" };

const PLAIN_CLUSTER = `# ONLY for a cluster that encrypts nothing in etcd yet. If kube-apiserver already runs with an EncryptionConfiguration, its
# providers are missing here and kube-apiserver could not read what they wrote. Then make these files again with
# bao-kms-provider init --current-encryption-config FILE
`;

const PHASE_1 = `# Phase 1: every API server learns to read with KMS and still writes as before. Roll it out to all control-plane nodes
# before phase 2: an API server without it cannot read what another one writes in phase 2.
`;

const PHASE_2 = `# Phase 2: KMS encrypts new writes; older values stay readable until they are rewritten. Roll it out only after phase 1
# runs on all control-plane nodes.
`;

/** Both have the keys of the current file in them. @throws InitError when it already uses the name for another provider. */
export function encryptionFiles(
  providerName: string,
  socketPath: string,
  current: EncryptionConfig | undefined,
) {
  const config = current ?? { groups: [], isLegacyKind: false };
  const kms: KmsProvider = {
    kind: "kms",
    apiVersion: "v2",
    name: providerName,
    endpoint: `unix://${socketPath}`,
    timeout: API_TIMEOUT,
    timeoutMs: 3000,
    cacheSize: undefined,
  };
  const isOurs = (provider: EncryptionProvider): provider is KmsProvider =>
    provider.kind === "kms" && provider.name === providerName;
  const [first] = groupsFor(config, RESOURCE);
  for (const group of config.groups) {
    for (const { apiVersion, endpoint } of group.providers.filter(isOurs)) {
      const isSame = apiVersion === "v2" && socketPathOf(endpoint) === socketPathOf(kms.endpoint);
      if (!isSame || group !== first) {
        throw new InitError(
          "current_config_conflict",
          `--current-encryption-config: the file has a KMS provider with the name ${JSON.stringify(providerName)} for other resources, or with another endpoint or apiVersion`,
          "choose another transit.keyIdScope.providerName, or correct that entry of the current file first",
        );
      }
    }
  }
  // kube-apiserver accepts the name of a KMS v2 provider once in a file, so one entry gets it.
  const group = first ?? { resources: [RESOURCE], providers: [IDENTITY] };
  const [writer = IDENTITY, ...rest] = group.providers.filter((provider) => !isOurs(provider));
  const before = current === undefined ? PLAIN_CLUSTER : "";
  return {
    readers: before + PHASE_1 + fileText(config, group, [writer, kms, ...rest]),
    writers: before + PHASE_2 + fileText(config, group, [kms, writer, ...rest]),
  };
}

/** The configuration with other providers for one group, which is added when it is not among them. */
function fileText(
  config: EncryptionConfig,
  changed: ResourceGroup,
  providers: readonly EncryptionProvider[],
): string {
  const groups = config.groups.includes(changed) ? config.groups : [...config.groups, changed];
  const document = new Document({
    apiVersion: "apiserver.config.k8s.io/v1",
    kind: "EncryptionConfiguration",
    resources: groups.map((group) => ({
      resources: group.resources,
      providers: (group === changed ? providers : group.providers).map(providerTree),
    })),
  });
  quoteForYaml11(document);
  return document.toString({ lineWidth: 0 }).replace(UNREADABLE, escaped);
}

function providerTree(provider: EncryptionProvider): object {
  switch (provider.kind) {
    case "identity":
      return { identity: {} };
    case "kms": {
      const { apiVersion, name, endpoint, timeout, cacheSize } = provider;
      return {
        kms: {
          apiVersion,
          name,
          ...(cacheSize === undefined ? {} : { cachesize: cacheSize }),
          endpoint,
          ...(timeout === undefined ? {} : { timeout }),
        },
      };
    }
    default:
      return {
        [provider.kind]: {
          keys: provider.keys.map(({ name, secret }) => ({ name, secret: secret.expose() })),
        },
      };
  }
}

/** Only in quotes here; kube-apiserver's reader refuses these characters, or takes them for line breaks. */
const UNREADABLE = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;
const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Text that any YAML reader takes for text without quotes. */
const PLAIN = /^[A-Za-z][A-Za-z0-9._/:=+-]*[A-Za-z0-9=]$/;

/** kube-apiserver reads YAML 1.1, for which on and 1_000 are no text. */
function quoteForYaml11(document: Document): void {
  visit(document, {
    Scalar: (key, node) => {
      if (key !== "key" && typeof node.value === "string") {
        const isPlain = PLAIN.test(node.value) && plainScalar(node.value).kind === "string";
        node.type = isPlain ? "PLAIN" : "QUOTE_DOUBLE";
      }
    },
  });
}
