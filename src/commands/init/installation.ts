/**
 * All files of one node's installation.
 *
 * @module Pure: values and choices in, names, texts and modes out. Writing them is write-files.ts's.
 */
import { createHash } from "node:crypto";
import { buildInfo } from "../../base/build-info.ts";
import { jsonText } from "../../cli/output.ts";
import { fingerprint } from "../../key/identity/fingerprint.ts";
import type { EncryptionConfig } from "../../kubernetes/encryption-config/types.ts";
import { configIdentity } from "../../provider/config-identity.ts";
import { openbaoPolicy } from "../openbao-policy.ts";
import { encryptionFiles } from "./encryption-files.ts";
import { InitError } from "./errors.ts";
import { setupScript } from "./setup-script.ts";
import { staticPodManifest } from "./static-pod.ts";
import { nodeConfig } from "./values.ts";
import type { NewFile } from "./write-files.ts";

export interface InstallationRequest {
  readonly values: { readonly bytes: Uint8Array; readonly file: string };
  readonly model: "systemd" | "static-pod";
  readonly isNewKey: boolean;
  readonly current: EncryptionConfig | undefined;
  readonly policyName: string;
  readonly image: string | undefined;
  readonly socketGid: number | undefined;
  readonly random: (bytes: number) => Uint8Array;
}

export interface Installation {
  readonly files: readonly NewFile[];
  readonly fingerprint: string;
}

const IMAGE = /^[a-z0-9][A-Za-z0-9./:_-]{0,254}@sha256:[0-9a-f]{64}$/;
const POLICY_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** @throws ConfigError, InitError */
export function planInstallation(request: InstallationRequest): Installation {
  checkChoices(request);
  const { model, isNewKey, policyName, image, socketGid } = request;
  const { config, text } = nodeConfig({ ...request.values, isNewKey, socketGid, random: request.random });
  if (model === "static-pod" && !/^\d+$/.test(config.server.socketGroup)) {
    throw new InitError(
      "options_conflict",
      "server.socketGroup: a static pod needs the group's number, because its image knows no host names",
      `give --socket-gid "$(getent group ${config.server.socketGroup} | cut -d: -f3)"`,
    );
  }
  const { readers, writers } = encryptionFiles({
    providerName: config.transit.keyIdScope.providerName,
    socketPath: config.server.socketPath,
    current: request.current,
  });
  const { auth } = config;
  const policy = openbaoPolicy({
    ...config.transit,
    includeTokenRenewal: true,
    appRole: auth.method === "approle" ? { mountPath: auth.approle.mountPath, name: policyName } : undefined,
  });
  const files: readonly NewFile[] = [
    { name: "config.yaml", text, mode: 0o640 },
    { name: "encryption-config-readers.yaml", text: readers, mode: 0o600 },
    { name: "encryption-config.yaml", text: writers, mode: 0o600 },
    { name: "openbao-policy.hcl", text: policy, mode: 0o644 },
    {
      name: "openbao-setup.sh",
      text: setupScript({ config, policyName, policy, isNewKey }),
      mode: 0o755,
    },
    ...(model === "static-pod" && image !== undefined
      ? [
          {
            name: "bao-kms-provider.yaml",
            text: staticPodManifest({ config, image, socketGid: Number(config.server.socketGroup) }),
            mode: 0o600,
          },
        ]
      : []),
  ];
  const mark = fingerprint(configIdentity(config));
  const record = jsonText({
    madeBy: buildInfo,
    model,
    fingerprint: mark,
    newKey: isNewKey,
    policyName,
    keepsCurrentProviders: request.current !== undefined,
    files: files.map(({ name, text: content }) => ({
      name,
      sha256: createHash("sha256").update(content).digest("hex"),
    })),
  });
  return { files: [...files, { name: "installation.json", text: record, mode: 0o644 }], fingerprint: mark };
}

function checkChoices({ model, image, policyName }: InstallationRequest): void {
  if (!POLICY_NAME.test(policyName)) {
    throw new InitError(
      "options_conflict",
      "--policy-name: not a name of letters, digits, `_`, `.` and `-`",
      "leave it out for openbao-kms",
    );
  }
  if (model === "systemd" && image !== undefined) {
    throw new InitError(
      "options_conflict",
      "--image: only a static pod has an image",
      "leave it out, or add --model static-pod",
    );
  }
  if (model === "static-pod" && (image === undefined || !IMAGE.test(image))) {
    throw new InitError(
      "options_conflict",
      "--image: a static pod needs its image by digest",
      "give --image REGISTRY/NAME@sha256:DIGEST",
    );
  }
}
