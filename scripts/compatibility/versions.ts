/** @module The sets of real components in `.ci/versions`; `.ci/components` fetches them. */
export const SET_NAMES = ["newest", "oldest"] as const;
export type SetName = (typeof SET_NAMES)[number];

export const COMPONENTS = ["openbao", "kubernetes", "etcd", "containerd", "systemd"] as const;
export type Component = (typeof COMPONENTS)[number];

export interface ComponentSet {
  readonly versions: Readonly<Partial<Record<Component, string>>>;
  /** The release whose systemd that is. */
  readonly debian: string;
}

/** @throws for a line with a word it does not know, a component that stands twice, or a set that lacks what every suite needs */
export function parseVersions(text: string): Readonly<Record<SetName, ComponentSet>> {
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  const rows = lines.map((line) => {
    const [set, component, version, detail = ""] = line.trim().split(/\s+/);
    const known = { set: oneOf(SET_NAMES, set), component: oneOf(COMPONENTS, component) };
    if (known.set === undefined || known.component === undefined || version === undefined) {
      throw new Error(`.ci/versions: not a set, a component and a version: ${line}`);
    }
    return { set: known.set, component: known.component, version, detail };
  });
  const read = (name: SetName): ComponentSet => {
    const own = rows.filter(({ set }) => set === name);
    const versions = Object.fromEntries(own.map(({ component, version }) => [component, version]));
    if (Object.keys(versions).length !== own.length) {
      throw new Error(`.ci/versions: a component stands twice in ${name}`);
    }
    for (const needed of ["openbao", "kubernetes", "etcd", "systemd"] as const) {
      if (versions[needed] === undefined) {
        throw new Error(`.ci/versions: ${name} has no ${needed}`);
      }
    }
    return { versions, debian: own.find(({ component }) => component === "systemd")?.detail ?? "" };
  };
  return { newest: read("newest"), oldest: read("oldest") };
}

function oneOf<T extends string>(all: readonly T[], word: string | undefined): T | undefined {
  return all.find((each) => each === word);
}
