/** @module The programs that a release starts, with the Debian package of each. */
export const releaseTools = {
  "dpkg-deb": "dpkg",
  rpmbuild: "rpm",
  xz: "xz-utils",
  tar: "tar",
  "apt-get": "apt",
  openssl: "openssl",
  npm: "npm",
  git: "git",
} as const;

/** Only for a release with the native parts. */
export const nativeTools = { cargo: "none, Rust is at rustup.rs" } as const;

/** One sentence that names every missing program; undefined when all are there. */
export function missingTools(
  tools: Readonly<Record<string, string>>,
  find: (command: string) => string | null,
): string | undefined {
  const missing = Object.entries(tools)
    .filter(([command]) => find(command) === null)
    .map(([command, from]) => `${command} (Debian package ${from})`);
  return missing.length === 0
    ? undefined
    : `not on PATH: ${missing.join(", ")}; as root, packaging/install-ci-tools installs the Debian packages`;
}
