/**
 * `kubernetes.encryption_config`: whether kube-apiserver would use this provider, rightly and without losing a reader.
 *
 * @module Findings over files that kubernetes/encryption-config.ts has decoded.
 */

import { formatDuration } from "../../../base/duration.ts";
import { readSafeFile } from "../../../base/safe-file.ts";
import {
  decodeEncryptionConfig,
  type EncryptionConfig,
  type EncryptionProvider,
  groupFor,
  MAX_ENCRYPTION_CONFIG_BYTES,
  readerIdentity,
} from "../../../kubernetes/encryption-config.ts";
import { type Finding, failure, warning } from "../../check.ts";
import type { DoctorCheck } from "../check-ids.ts";

const RESOURCE = "secrets";
/** A cold decrypt has to fit, retries included. */
const SHORTEST_TIMEOUT_MS = 2000;

export interface ExpectedProvider {
  readonly providerName: string;
  readonly endpoint: string;
  readonly openbaoTimeoutMs: number;
}

export const kubernetesEncryptionConfig: DoctorCheck = {
  id: "kubernetes.encryption_config",
  proves:
    "kube-apiserver's EncryptionConfiguration names this provider rightly and keeps every reader that is still needed.",
  needs: ["config.validate"],
  whenFailed: "bao-kms-provider init --current-encryption-config FILE makes right ones",
  run: async (context) => {
    const { encryptionConfig, previousEncryptionConfig, self } = context.options;
    if (encryptionConfig === undefined) {
      return { skipped: "give --encryption-config FILE to check it" };
    }
    const { config } = context.fact("loaded");
    const current = await read(encryptionConfig, "--encryption-config", self.uid);
    const previous =
      previousEncryptionConfig === undefined
        ? undefined
        : await read(previousEncryptionConfig, "--previous-encryption-config", self.uid);
    return {
      detail: encryptionConfig,
      findings: [
        ...encryptionFindings(current, {
          providerName: config.transit.keyIdScope.providerName,
          endpoint: `unix://${config.server.socketPath}`,
          openbaoTimeoutMs: config.openbao.timeout,
        }),
        ...(previous === undefined ? [] : lostReaders(previous, current)),
      ],
    };
  },
};

/** kube-apiserver's files are root's, and hold keys. */
async function read(path: string, field: string, uid: number): Promise<EncryptionConfig> {
  const { bytes } = await readSafeFile(path, {
    what: "the EncryptionConfiguration",
    field,
    maxBytes: MAX_ENCRYPTION_CONFIG_BYTES,
    secret: true,
    serviceUid: uid,
    errorClass: "config_invalid",
  });
  return decodeEncryptionConfig(bytes, path);
}

/** What is wrong with the entry of this provider, or missing. */
export function encryptionFindings(config: EncryptionConfig, expected: ExpectedProvider): readonly Finding[] {
  const named = config.groups.flatMap(({ providers }) =>
    providers.filter((each) => each.kind === "kms" && each.name === expected.providerName),
  );
  const [kms] = named;
  if (kms?.kind !== "kms") {
    const other = config.groups
      .flatMap(({ providers }) => providers)
      .find((each) => each.kind === "kms" && sameEndpoint(each.endpoint, expected.endpoint));
    return [
      other === undefined
        ? failure(
            "provider_absent",
            `no KMS provider is named ${JSON.stringify(expected.providerName)}, as transit.keyIdScope.providerName says`,
            "add it as bao-kms-provider init does, or correct the name",
            "config_invalid",
          )
        : failure(
            "provider_name_differs",
            `the KMS provider at ${expected.endpoint} has another name than ${JSON.stringify(expected.providerName)}, which transit.keyIdScope.providerName says`,
            "the name stands in front of every value in etcd: correct whichever of the two is not in use yet",
            "config_invalid",
          ),
    ];
  }
  return [
    ...(named.length > 1
      ? [
          failure(
            "provider_twice",
            "its KMS provider is named more than once; kube-apiserver refuses that",
            "keep the one that serves Secrets",
            "config_invalid",
          ),
        ]
      : []),
    ...(kms.apiVersion === "v2"
      ? []
      : [
          failure(
            "kms_version",
            `its KMS provider has apiVersion ${JSON.stringify(kms.apiVersion)}, which is what an absent apiVersion means too; this provider speaks v2 only`,
            "set apiVersion: v2 in that entry",
            "config_invalid",
          ),
        ]),
    ...(sameEndpoint(kms.endpoint, expected.endpoint)
      ? []
      : [
          failure(
            "endpoint_differs",
            `its endpoint is not ${expected.endpoint}, where server.socketPath lets the provider listen`,
            `set endpoint: ${expected.endpoint}`,
            "config_invalid",
          ),
        ]),
    ...timeoutFindings(kms.timeoutMs, expected.openbaoTimeoutMs),
    ...orderFindings(config, kms),
  ];
}

function sameEndpoint(endpoint: string, expected: string): boolean {
  return endpoint === expected || endpoint.replace(/^unix:\/\/\/?(?=@?\/)/, "unix://") === expected;
}

function timeoutFindings(timeoutMs: number | undefined, openbaoTimeoutMs: number): readonly Finding[] {
  if (timeoutMs === undefined) {
    return [failure("timeout_invalid", "its timeout is not a duration", "set timeout: 3s", "config_invalid")];
  }
  return timeoutMs < Math.max(SHORTEST_TIMEOUT_MS, openbaoTimeoutMs)
    ? [
        warning(
          "timeout_short",
          `its timeout of ${formatDuration(timeoutMs)} is shorter than one call to OpenBao may take (${formatDuration(openbaoTimeoutMs)})`,
          "set timeout: 3s, or shorten openbao.timeout",
        ),
      ]
    : [];
}

function orderFindings(config: EncryptionConfig, kms: EncryptionProvider): readonly Finding[] {
  const group = groupFor(config, RESOURCE);
  if (group === undefined) {
    return [
      failure(
        "secrets_uncovered",
        "no entry covers Secrets, so they are stored in the open",
        "add secrets to the entry of this provider",
        "config_invalid",
      ),
    ];
  }
  const index = group.providers.indexOf(kms);
  if (index === -1) {
    return [
      failure(
        "provider_elsewhere",
        "its KMS provider is in another entry than the one that decides about Secrets, which is the first that names them or matches them by wildcard",
        "move it there",
        "config_invalid",
      ),
    ];
  }
  const [writer] = group.providers;
  const uncovered = ["configmaps"].filter((resource) => !groupFor(config, resource)?.providers.includes(kms));
  return [
    ...(index === 0
      ? []
      : [
          warning(
            "not_writing",
            `it reads but does not write yet: ${writer?.kind ?? "nothing"} is first`,
            "right in the first phase of a migration; in the second, put the KMS provider first",
          ),
        ]),
    ...(index === 0 && group.providers.some(({ kind }) => kind === "identity")
      ? [
          warning(
            "identity_left",
            "identity is still a reader, so values in the open are accepted",
            "once nothing lies in the open any more (bao-kms-provider audit), remove identity",
          ),
        ]
      : []),
    ...(uncovered.length > 0
      ? [
          warning(
            "resources_uncovered",
            `${uncovered.join(", ")} and other resources are not encrypted by it`,
            "add what holds secrets to the resources of its entry",
          ),
        ]
      : []),
  ];
}

/** Readers of the file before that are gone: what they wrote could not be read any more. */
export function lostReaders(previous: EncryptionConfig, current: EncryptionConfig): readonly Finding[] {
  const resources = [...new Set(previous.groups.flatMap((group) => group.resources))];
  const lost = resources.flatMap((resource) => {
    const before = previous.groups.find((group) => group.resources.includes(resource));
    const now = new Set(
      (
        current.groups.find((group) => group.resources.includes(resource)) ?? groupFor(current, resource)
      )?.providers.map(readerIdentity) ?? ["identity"],
    );
    return (before?.providers ?? [])
      .map(readerIdentity)
      .filter((reader) => !now.has(reader))
      .map((reader) => ({ resource, reader }));
  });
  return lost.map(({ resource, reader }) =>
    failure(
      "reader_lost",
      `${resource}: the reader ${JSON.stringify(reader)} of the previous file is gone; what it wrote can no longer be read`,
      "keep it as a reader until bao-kms-provider audit shows that nothing is stored under it",
      "config_invalid",
    ),
  );
}
