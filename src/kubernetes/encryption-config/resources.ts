/** @module Which providers decide about a resource: the resource itself, then `*.group`, then `*.*`, then identity. */
import type { EncryptionConfig, EncryptionProvider, ResourceGroup } from "./types.ts";

interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

export const ANY = "*";

/** `pods` is of the core group, `*.` too; all after the first dot is the group. */
export function groupResource(name: string): GroupResource {
  const dot = name.indexOf(".");
  return dot === -1
    ? { group: "", resource: name }
    : { group: name.slice(dot + 1), resource: name.slice(0, dot) };
}

/** The entries that decide about a resource, most of the time one. Their providers count in this order. */
export function groupsFor({ groups }: EncryptionConfig, name: string): readonly ResourceGroup[] {
  const wanted = groupResource(name);
  const choices: readonly GroupResource[] = [
    wanted,
    { group: wanted.group, resource: ANY },
    { group: ANY, resource: ANY },
  ];
  for (const choice of choices) {
    const found = groups.filter(({ resources }) =>
      resources.some((each) => {
        const { group, resource } = groupResource(each);
        return group === choice.group && resource === choice.resource;
      }),
    );
    if (found.length > 0) {
      return found;
    }
  }
  return [];
}

/** The first writes, all read; a resource without an entry is written and read by identity. */
export function providersFor(config: EncryptionConfig, name: string): readonly EncryptionProvider[] {
  const groups = groupsFor(config, name);
  return groups.length === 0 ? [{ kind: "identity" }] : groups.flatMap(({ providers }) => providers);
}
