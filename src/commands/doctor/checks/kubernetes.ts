/** @module `kubernetes.encryption_config`: whether kube-apiserver would load the file, use this provider, and keep every reader. */
import { formatDuration } from "../../../base/duration.ts";
import {
  type EncryptionConfig,
  groupsFor,
  type KmsProvider,
  providersFor,
} from "../../../kubernetes/encryption-config/config.ts";
import { socketPathOf } from "../../../kubernetes/encryption-config/kms-endpoint.ts";
import { type LostReader, lostReaders } from "../../../kubernetes/encryption-config/readers.ts";
import { type Finding, failure, raised, warning } from "../../check.ts";
import { readEncryptionConfig } from "../../input-file.ts";
import type { DoctorCheck } from "../context.ts";

const RESOURCE = "secrets";
/** A cold decrypt has to fit, retries included. */
const SHORTEST_TIMEOUT_MS = 2000;

interface ExpectedProvider {
  readonly providerName: string;
  readonly endpoint: string;
  readonly openbaoTimeoutMs: number;
}

export const kubernetesEncryptionConfig: DoctorCheck = {
  id: "kubernetes.encryption_config",
  proves:
    "kube-apiserver loads the EncryptionConfiguration, uses this provider by it, and keeps every reader that is still needed.",
  needs: ["config.validate"],
  whenFailed: "bao-kms-provider init --current-encryption-config FILE writes correct ones",
  run: async (context) => {
    const { encryptionConfig, previousEncryptionConfig } = context.options;
    if (encryptionConfig === undefined) {
      return { skipped: "give --encryption-config FILE to check it" };
    }
    const { config } = context.fact("loaded");
    const current = await readEncryptionConfig(encryptionConfig, "--encryption-config");
    const previous =
      previousEncryptionConfig === undefined
        ? undefined
        : await readEncryptionConfig(previousEncryptionConfig, "--previous-encryption-config");
    return {
      detail: encryptionConfig,
      findings: [
        ...legacyFindings(current, previous),
        ...encryptionFindings(current, {
          providerName: config.transit.keyIdScope.providerName,
          endpoint: `unix://${config.server.socketPath}`,
          openbaoTimeoutMs: config.openbao.timeout,
        }),
        ...(previous === undefined ? [] : lostReaders(previous, current).map(lostFinding)),
      ],
    };
  },
};

const kmsProviders = (groups: EncryptionConfig["groups"]): readonly KmsProvider[] =>
  groups.flatMap(({ providers }) => providers).filter((each) => each.kind === "kms");

/** What kube-apiserver still loads, or loads only with a flag. */
export function legacyFindings(
  current: EncryptionConfig,
  previous: EncryptionConfig | undefined,
): readonly Finding[] {
  const known = new Set(
    kmsProviders(previous?.groups ?? [])
      .filter(({ apiVersion }) => apiVersion === "v1")
      .map(({ name }) => name),
  );
  const isNew = kmsProviders(current.groups).some(
    ({ apiVersion, name }) => apiVersion === "v1" && !known.has(name),
  );
  return raised(
    current.isLegacyKind &&
      warning(
        "legacy_kind",
        "its kind is EncryptionConfig of apiVersion v1, which kube-apiserver still loads and does not document",
        "write apiVersion: apiserver.config.k8s.io/v1 and kind: EncryptionConfiguration",
      ),
    isNew &&
      failure(
        "kms_v1_gate",
        "it has a provider of KMS v1, which kube-apiserver refuses unless it runs with --feature-gates=KMSv1=true",
        "set apiVersion: v2, or give the file that kube-apiserver runs with as --previous-encryption-config",
        "config_invalid",
      ),
  );
}

/** What is wrong with the entry of this provider, or missing. */
export function encryptionFindings(config: EncryptionConfig, expected: ExpectedProvider): readonly Finding[] {
  const all = kmsProviders(config.groups);
  const kms = all.find(({ name }) => name === expected.providerName);
  if (kms === undefined) {
    const other = all.find(({ endpoint }) => sameEndpoint(endpoint, expected.endpoint));
    return [
      other === undefined
        ? failure(
            "provider_absent",
            `it has no KMS provider with the name ${JSON.stringify(expected.providerName)}, which is transit.keyIdScope.providerName`,
            "add it as bao-kms-provider init does, or correct the name",
            "config_invalid",
          )
        : failure(
            "provider_name_differs",
            `its KMS provider at ${expected.endpoint} has another name than ${JSON.stringify(expected.providerName)}, which is transit.keyIdScope.providerName`,
            "etcd has the name in front of every value: correct the one of the two that is not in use yet",
            "config_invalid",
          ),
    ];
  }
  const findings = raised(
    kms.apiVersion !== "v2" &&
      failure(
        "kms_version",
        `its KMS provider has apiVersion ${JSON.stringify(kms.apiVersion)}, which is what an absent apiVersion means too; this provider speaks v2 only`,
        "set apiVersion: v2 in that entry",
        "config_invalid",
      ),
    !sameEndpoint(kms.endpoint, expected.endpoint) &&
      failure(
        "endpoint_differs",
        `its endpoint is not ${expected.endpoint}, where server.socketPath lets the provider listen`,
        `set endpoint: ${expected.endpoint}`,
        "config_invalid",
      ),
    kms.timeoutMs < Math.max(SHORTEST_TIMEOUT_MS, expected.openbaoTimeoutMs) &&
      warning(
        "timeout_short",
        `its timeout of ${formatDuration(kms.timeoutMs)} is shorter than one call to OpenBao may take (${formatDuration(expected.openbaoTimeoutMs)})`,
        "set timeout: 3s, or shorten openbao.timeout",
      ),
  );
  return [...findings, ...orderFindings(config, kms)];
}

function sameEndpoint(endpoint: string, expected: string): boolean {
  return socketPathOf(endpoint) === socketPathOf(expected);
}

function orderFindings(config: EncryptionConfig, kms: KmsProvider): readonly Finding[] {
  if (groupsFor(config, RESOURCE).length === 0) {
    return [
      failure(
        "secrets_uncovered",
        "it has no entry for Secrets, so kube-apiserver stores them in plaintext",
        "add secrets to the entry of this provider",
        "config_invalid",
      ),
    ];
  }
  const providers = providersFor(config, RESOURCE);
  const index = providers.indexOf(kms);
  if (index === -1) {
    return [
      failure(
        "provider_elsewhere",
        "its KMS provider is in no entry that decides about Secrets: one with secrets, else one with '*.', else one with '*.*'",
        "add secrets to the entry of this provider",
        "config_invalid",
      ),
    ];
  }
  const [writer] = providers;
  return raised(
    index !== 0 &&
      warning(
        "not_writing",
        `its KMS provider reads but does not write yet: ${writer?.kind ?? "nothing"} is first`,
        "this is correct in the first phase of a migration; in the second, put the KMS provider first",
      ),
    index === 0 &&
      providers.some(({ kind }) => kind === "identity") &&
      warning(
        "identity_left",
        "identity is still a reader, so kube-apiserver accepts values in plaintext",
        "remove identity when bao-kms-provider audit finds no plaintext",
      ),
    !providersFor(config, "configmaps").includes(kms) &&
      warning(
        "resources_uncovered",
        "configmaps and other resources are not encrypted by it",
        "add the resources that contain secrets to its entry",
      ),
  );
}

export function lostFinding({ resource, kind, name, hasOtherSecret }: LostReader): Finding {
  const reader = name === undefined ? kind : `${kind} ${JSON.stringify(name)}`;
  return failure(
    "reader_lost",
    `${resource}: the reader ${reader} of the previous file ${hasOtherSecret ? "has another secret" : "is gone"}; kube-apiserver could not read what it wrote`,
    "keep it as a reader until bao-kms-provider audit shows that nothing is stored under it",
    "config_invalid",
  );
}
