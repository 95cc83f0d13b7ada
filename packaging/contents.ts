/** @module What every artefact contains: one table for the packages, the tarball, the bundles and the image. */

/** What a piece can be part of. `package` is the deb and the rpm. */
export type Artefact = "package" | "tarball" | "systemd" | "static-pod" | "image";

/** Where a piece comes from: the repository, what `generated.ts` made, or what `native/build` made. */
export type Origin = "repository" | "generated" | "native";

export interface Piece {
  readonly origin: Origin;
  /** Below its origin; a folder stands for every file in it. */
  readonly from: string;
  readonly mode: 0o644 | 0o755;
  /** Absolute path on a host, for packages and image. */
  readonly installed?: string;
  /** Where an rpm's distributions look instead. */
  readonly installedByRpm?: string;
  /** Path in tarball and bundles. */
  readonly archived?: string;
  readonly in: readonly Artefact[];
}

const nativeDirectory = "/usr/lib/openbao-kms";

const doc = "/usr/share/doc/bao-kms-provider";
const everywhere = ["package", "tarball", "systemd", "static-pod"] as const;
const withExecutable = ["package", "tarball", "image"] as const;
const manual = ["package", "tarball"] as const;
const host = ["package", "tarball", "systemd"] as const;

function file(
  artefacts: readonly Artefact[],
  from: string,
  installed: string,
  more: Partial<Piece> = {},
): Piece {
  return { origin: "repository", from, mode: 0o644, installed, archived: from, in: artefacts, ...more };
}

/** With `archived` in tarball and bundles where it has another name there. */
function made(
  origin: "generated" | "native",
  artefacts: readonly Artefact[],
  from: string,
  installed: string,
  archived = from,
): Piece {
  return file(artefacts, from, installed, { origin, archived });
}

/** What an operator reads, as in the repository, so that links between pages work there too. A folder stands for its pages. */
const PAGES = [
  "README.md",
  "quickstart.md",
  "how-it-works.md",
  "faq.md",
  "troubleshooting.md",
  "compatibility.md",
  "configure",
  "deployment",
  "operations",
  "security/hardening.md",
  "reference/commands.md",
  "reference/configuration.md",
  "reference/config.schema.json",
  "reference/logs.md",
  "reference/metrics.md",
] as const;

export const contents: readonly Piece[] = [
  {
    ...made("generated", withExecutable, "bao-kms-provider", "/usr/bin/bao-kms-provider"),
    mode: 0o755,
  },
  made("native", withExecutable, "tls.node", `${nativeDirectory}/tls.node`, "lib/tls.node"),
  made("native", withExecutable, "pkcs11.node", `${nativeDirectory}/pkcs11.node`, "lib/pkcs11.node"),

  file(host, "deploy/systemd/bao-kms-provider.service", "/usr/lib/systemd/system/bao-kms-provider.service"),
  file(host, "deploy/systemd/bao-kms-provider.path", "/usr/lib/systemd/system/bao-kms-provider.path"),
  file(host, "deploy/package/linux/sysusers.d/openbao-kms.conf", "/usr/lib/sysusers.d/openbao-kms.conf"),
  file(host, "deploy/package/linux/tmpfiles.d/openbao-kms.conf", "/usr/lib/tmpfiles.d/openbao-kms.conf"),

  file(host, "deploy/config/provider-systemd.yaml", `${doc}/examples/config/provider-systemd.yaml`),
  file(host, "deploy/systemd/drop-ins", `${doc}/examples/systemd/drop-ins`),
  file(
    host,
    "deploy/systemd/bao-kms-provider-directory.service",
    `${doc}/examples/systemd/bao-kms-provider-directory.service`,
  ),
  ...["kubernetes", "sidecar", "ansible", "prometheus", "grafana"].map((name) =>
    file(everywhere, `deploy/${name}`, `${doc}/examples/${name}`),
  ),
  file(["static-pod", "tarball"], "deploy/config/provider-static-pod.yaml", ""),
  file(["tarball"], "deploy/static-pod", ""),
  made("generated", ["static-pod"], "deploy/static-pod", ""),

  file(host, "docs/reference/config.schema.json", `${doc}/config.schema.json`),
  ...PAGES.map((page) => file(everywhere, `docs/${page}`, `${doc}/${page}`)),
  file(everywhere, "examples", `${doc}/examples`),
  file([...everywhere, "image"], "LICENSE", `${doc}/LICENSE`),
  made("generated", [...everywhere, "image"], "THIRD-PARTY-LICENSES", `${doc}/THIRD-PARTY-LICENSES`),
  file(everywhere, "CHANGELOG.md", `${doc}/CHANGELOG.md`),
  file(["package"], "packaging/linux/copyright", `${doc}/copyright`),

  made(
    "generated",
    manual,
    "bao-kms-provider.8.gz",
    "/usr/share/man/man8/bao-kms-provider.8.gz",
    "man/bao-kms-provider.8.gz",
  ),
  made("generated", manual, "completions/bash", "/usr/share/bash-completion/completions/bao-kms-provider"),
  {
    ...made("generated", manual, "completions/zsh", "/usr/share/zsh/vendor-completions/_bao-kms-provider"),
    installedByRpm: "/usr/share/zsh/site-functions/_bao-kms-provider",
  },
  made("generated", manual, "completions/fish", "/usr/share/fish/vendor_completions.d/bao-kms-provider.fish"),
];
