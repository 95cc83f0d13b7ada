/** @module All versions of the key by their key_id, each with what is derived from it. Immutable. */

import type { KeyVersion } from "../../openbao/transit/key-metadata.ts";
import { type AnnotationCodec, annotationCodec } from "../identity/annotations.ts";
import { transitAssociatedData } from "../identity/associated-data.ts";
import { deriveKeyId } from "../identity/key-id.ts";
import type { KeyScope } from "../identity/key-scope.ts";
import type { RegistryContent, VersionState } from "../registry/record.ts";

export interface KeyHandle extends KeyVersion {
  readonly keyId: string;
  readonly annotations: AnnotationCodec;
  /** Transit's `associated_data`: base64 as it goes into the call. */
  readonly associatedData: string;
}

interface KeyEntry {
  readonly handle: KeyHandle;
  readonly state: VersionState;
}

export type KeyTable = ReadonlyMap<string, KeyEntry>;

export interface HandleMaker {
  readonly handleOf: (version: KeyVersion) => KeyHandle;
  /** The table of a registry's versions and of `unrecorded` ones, which count as pending or retired. */
  readonly tableOf: (
    content: Pick<RegistryContent, "versions">,
    unrecorded: readonly KeyVersion[],
    before: KeyTable,
  ) => KeyTable;
}

export function handleMaker(scope: KeyScope, pluginVersion: string): HandleMaker {
  const handleOf = ({ version, createdAtUnix }: KeyVersion): KeyHandle => {
    const keyVersion = { version, createdAtUnix };
    const keyId = deriveKeyId(scope, keyVersion);
    return {
      ...keyVersion,
      keyId,
      annotations: annotationCodec(scope, keyVersion, keyId, pluginVersion),
      associatedData: transitAssociatedData(scope, keyVersion, keyId),
    };
  };
  return {
    handleOf,
    tableOf: (content, unrecorded, before) => {
      const known = new Map([...before.values()].map(({ handle }) => [nameOf(handle), handle]));
      const entries = [
        ...unrecorded.map((version) => ({ version, state: "pending" as const })),
        ...content.versions.map((version) => ({ version, state: version.state })),
      ].map(({ version, state }): readonly [string, KeyEntry] => {
        const handle = known.get(nameOf(version)) ?? handleOf(version);
        return [handle.keyId, { handle, state }];
      });
      return new Map(entries);
    },
  };
}

function nameOf({ version, createdAtUnix }: KeyVersion): string {
  return `${version}/${createdAtUnix}`;
}
