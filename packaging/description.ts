/** @module The texts by which the packages and the image describe themselves. */
import manifest from "../package.json";

/** Both are fields of package.json; a publisher sets its own there. */
export const packageHomepage = manifest.homepage;
export const packageMaintainer = manifest.author;

/** No address of example.com leads anywhere (RFC 2606). */
export function isPlaceholder(address: string): boolean {
  return /[@./]example\.com\b/.test(address);
}

/** The fields of package.json that a publisher has not set. */
export function placeholders(
  fields: Readonly<Record<string, string>> = { author: packageMaintainer, homepage: packageHomepage },
): readonly string[] {
  return Object.entries(fields)
    .filter(([, value]) => isPlaceholder(value))
    .map(([name, value]) => `${name} is the placeholder ${value}`);
}

export const packageSummary = "Kubernetes KMS v2 provider for OpenBao Transit";

/** Lines of the long description; an empty one separates paragraphs. */
export const packageDescription: readonly string[] = [
  "kube-apiserver asks this service over a Unix socket to encrypt and decrypt the",
  "keys of Secrets at rest; the service asks the Transit engine of an OpenBao, so",
  "that no key material is kept on the host.",
  "",
  "Installing makes users, groups and directories, and starts nothing.",
];

/** The repository that the manifests of deploy/ name; a site replaces it with its own. */
export const imageRepository = "registry.example.com/bao-kms-provider";
