/**
 * What the file format knows but this build cannot do.
 *
 * @module One table; an entry is deleted by the change that makes its feature work, and the file goes with the last one.
 */
import type { ConfigProblem } from "./problem.ts";
import type { ProviderConfig } from "./schema.ts";

interface Unavailable {
  readonly path: string;
  readonly isUsed: (config: ProviderConfig) => boolean;
  readonly instead: string;
}

const UNAVAILABLE: readonly Unavailable[] = [
  {
    path: "auth.cert.source",
    isUsed: ({ auth }) => auth.method === "cert" && auth.cert.credential.source === "pkcs11",
    instead: "set auth.cert.source to file",
  },
];

export function notYetAvailable(config: ProviderConfig): readonly ConfigProblem[] {
  return UNAVAILABLE.filter(({ isUsed }) => isUsed(config)).map(({ path, instead }) => ({
    path,
    problem: "asks for what this version cannot do yet",
    mend: instead,
  }));
}
