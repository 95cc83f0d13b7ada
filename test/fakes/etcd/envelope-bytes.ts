/**
 * @module Values as kube-apiserver stores them under a KMS v2 provider. Builds the marker and the protobuf envelope field by
 * field, so that a test can also build wrong ones.
 */
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { annotationCodec } from "../../../src/key/identity/annotations.ts";
import { deriveKeyId } from "../../../src/key/identity/key-id.ts";
import type { KeyScope } from "../../../src/key/identity/key-scope.ts";
import type { KeyVersion } from "../../../src/openbao/transit/key-metadata.ts";

export interface EnvelopeParts {
  readonly encryptedData?: Uint8Array;
  readonly keyId?: string;
  readonly encryptedDekSource?: Uint8Array;
  readonly annotations?: Readonly<Record<string, Uint8Array>>;
  readonly dekSourceType?: number;
}

export function envelopeBytes(parts: EnvelopeParts): Uint8Array {
  const writer = new BinaryWriter();
  const bytesField = (field: number, content: Uint8Array | undefined): void => {
    if (content !== undefined) {
      writer.tag(field, WireType.LengthDelimited).bytes(content);
    }
  };
  bytesField(1, parts.encryptedData);
  bytesField(2, parts.keyId === undefined ? undefined : Buffer.from(parts.keyId));
  bytesField(3, parts.encryptedDekSource);
  for (const [key, value] of Object.entries(parts.annotations ?? {})) {
    writer.tag(4, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(key).tag(2, WireType.LengthDelimited).bytes(value).join();
  }
  if (parts.dekSourceType !== undefined) {
    writer.tag(5, WireType.Varint).uint32(parts.dekSourceType);
  }
  return writer.finish();
}

/** A whole stored value under one version of our key. */
export function ourStoredValue(scope: KeyScope, version: KeyVersion, dataBytes = 300): Uint8Array {
  const keyId = deriveKeyId(scope, version);
  return Buffer.concat([
    Buffer.from(`k8s:enc:kms:v2:${scope.providerName}:`),
    envelopeBytes({
      encryptedData: new Uint8Array(dataBytes).fill(0xa5),
      keyId,
      encryptedDekSource: Buffer.from(`vault:v${version.version}:${"A".repeat(80)}`),
      annotations: annotationCodec(scope, version, keyId, "0.1.0").encoded,
      dekSourceType: 1,
    }),
  ]);
}
