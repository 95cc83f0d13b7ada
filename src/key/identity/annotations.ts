/** @module The annotations that kube-apiserver stores beside each encrypted seed: made for a version, and compared; kms/service.ts refuses a Decrypt whose annotations differ. */

import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import { hashText, type KeyScope } from "./key-scope.ts";

export const PROVIDER_NAME = "openbao-transit";
export const AAD_VERSION = "v1";

const PLUGIN_VERSION_KEY = "plugin-version.kms.openbao.org";
const PLUGIN_VERSION_SHAPE = /^[\x21-\x7e]{1,64}$/;

/** The annotations whose values are fixed for a version of a key; plugin-version, which is informative, comes on top. */
function boundAnnotations(
  scope: KeyScope,
  { version }: KeyVersion,
  keyId: string,
): Readonly<Record<string, string>> {
  return {
    "provider.kms.openbao.org": PROVIDER_NAME,
    "key-id-hash.kms.openbao.org": hashText(keyId),
    "transit-key-version.kms.openbao.org": String(version),
    "transit-mount-hash.kms.openbao.org": hashText(scope.transitMountId),
    "transit-key-hash.kms.openbao.org": hashText(scope.keyLineageId),
    ...(scope.openbaoNamespace === ""
      ? {}
      : { "openbao-namespace-hash.kms.openbao.org": hashText(scope.openbaoNamespace) }),
    "aad-version.kms.openbao.org": AAD_VERSION,
  };
}

export interface AnnotationCodec {
  /** What Encrypt returns. The map is shared between calls: a caller must not change it. */
  readonly encoded: Readonly<Record<string, Uint8Array>>;
  /** The first thing that is wrong with what a Decrypt brought, or `undefined` when all is as it was made. */
  readonly check: (received: Readonly<Record<string, Uint8Array>>) => AnnotationProblem | undefined;
}

export type AnnotationProblem = "missing" | "unexpected" | "malformed" | "disagrees";

/** Prepares both directions once per version, so that a call compares bytes and hashes nothing. */
export function annotationCodec(
  scope: KeyScope,
  keyVersion: KeyVersion,
  keyId: string,
  pluginVersion: string,
): AnnotationCodec {
  const bound = Object.entries(boundAnnotations(scope, keyVersion, keyId)).map(([key, text]) => ({
    key,
    expected: Buffer.from(text),
  }));
  const encoded = Object.fromEntries([
    ...bound.map(({ key, expected }) => [key, expected] as const),
    [PLUGIN_VERSION_KEY, Buffer.from(pluginVersion)],
  ]);

  return {
    encoded,
    check: (received) => {
      for (const { key, expected } of bound) {
        const value = Object.hasOwn(received, key) ? received[key] : undefined;
        if (value === undefined) {
          return "missing";
        }
        if (!expected.equals(value)) {
          return "disagrees";
        }
      }
      const pluginVersionBytes = Object.hasOwn(received, PLUGIN_VERSION_KEY)
        ? received[PLUGIN_VERSION_KEY]
        : undefined;
      if (pluginVersionBytes === undefined) {
        return "missing";
      }
      if (!PLUGIN_VERSION_SHAPE.test(Buffer.from(pluginVersionBytes).toString("latin1"))) {
        return "malformed";
      }
      return Object.keys(received).length === bound.length + 1 ? undefined : "unexpected";
    },
  };
}
