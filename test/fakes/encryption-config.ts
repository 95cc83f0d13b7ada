/** @module An EncryptionConfiguration for tests, decoded from JSON. */
import { decodeEncryptionConfig } from "../../src/kubernetes/encryption-config/decode.ts";

/** Resources, and the providers for them. */
export type Group = readonly [resources: readonly string[], ...providers: readonly unknown[]];

export const encryptionConfig = (...groups: readonly Group[]) =>
  decodeEncryptionConfig(
    Buffer.from(
      JSON.stringify({
        apiVersion: "apiserver.config.k8s.io/v1",
        kind: "EncryptionConfiguration",
        resources: groups.map(([resources, ...providers]) => ({ resources, providers })),
      }),
    ),
    "file",
  );
