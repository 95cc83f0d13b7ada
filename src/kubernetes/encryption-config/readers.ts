/** @module Readers that a changed EncryptionConfiguration would lose. A secret is compared by its hash and never shown. */
import { createHash } from "node:crypto";
import { type EncryptionConfig, type EncryptionProvider, groupResource, providersFor } from "./config.ts";
import { keyBytes } from "./rules.ts";

interface Reader {
  /** Equal for two readers when each reads what the other wrote. */
  readonly identity: string;
  readonly kind: EncryptionProvider["kind"];
  /** Of the KMS provider or the key; undefined for identity. */
  readonly name: string | undefined;
}

export interface LostReader extends Omit<Reader, "identity"> {
  /** A resource, or `*.group` or `*.*` for those that no entry gives by name. */
  readonly resource: string;
  /** A reader of the same kind and name stays, with another secret. */
  readonly hasOtherSecret: boolean;
}

/** What reads, each key its own. */
function readersOf(provider: EncryptionProvider): readonly Reader[] {
  switch (provider.kind) {
    case "identity":
      return [{ identity: "identity", kind: "identity", name: undefined }];
    case "kms": {
      const { kind, apiVersion, name } = provider;
      return [{ identity: JSON.stringify([kind, apiVersion, name]), kind, name }];
    }
    default:
      return provider.keys.map(({ name, secret }) => {
        const hash = createHash("sha256")
          .update(keyBytes(secret) ?? "")
          .digest("hex");
        return { identity: JSON.stringify([provider.kind, name, hash]), kind: provider.kind, name };
      });
  }
}

/** What the previous configuration could read and the current one could not. */
export function lostReaders(previous: EncryptionConfig, current: EncryptionConfig): readonly LostReader[] {
  return representatives([previous, current]).flatMap((resource) => {
    const now = providersFor(current, resource).flatMap(readersOf);
    const kept = new Set(now.map(({ identity }) => identity));
    const before = new Map(
      providersFor(previous, resource)
        .flatMap(readersOf)
        .map((reader) => [reader.identity, reader]),
    );
    return [...before.values()]
      .filter(({ identity }) => !kept.has(identity))
      .map(({ kind, name }) => ({
        resource,
        kind,
        name,
        hasOtherSecret: now.some((each) => each.kind === kind && each.name === name),
      }));
  });
}

/** One name for each set of resources that both configurations treat alike. No resource has an asterisk for a name. */
function representatives(configs: readonly EncryptionConfig[]): readonly string[] {
  const names = configs.flatMap(({ groups }) => groups.flatMap(({ resources }) => resources));
  return [...new Set([...names, ...names.map((name) => `*.${groupResource(name).group}`), "*.", "*.*"])];
}
