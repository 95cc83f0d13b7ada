/** @module The in-toto statement with SLSA provenance v1 (slsa.dev/spec/v1.0/provenance); signature.ts signs it. */
import { createHash } from "node:crypto";

export interface ReleaseFile {
  readonly name: string;
  readonly sha256: string;
}

export interface ProvenanceInputs {
  readonly version: string;
  readonly commit: string;
  readonly architectures: readonly string[];
  readonly bunVersion: string;
  readonly lockFile: Uint8Array;
  readonly files: readonly ReleaseFile[];
}

export function provenance(inputs: ProvenanceInputs): string {
  return JSON.stringify({
    _type: "https://in-toto.io/Statement/v1",
    subject: inputs.files.map(({ name, sha256 }) => ({ name, digest: { sha256 } })),
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: {
        buildType: "urn:bao-kms-provider:release:v1",
        externalParameters: {
          version: inputs.version,
          commit: inputs.commit,
          architectures: inputs.architectures,
        },
        resolvedDependencies: [
          { name: "source", digest: { gitCommit: inputs.commit } },
          {
            name: "package-lock.json",
            digest: { sha256: createHash("sha256").update(inputs.lockFile).digest("hex") },
          },
          { uri: `pkg:npm/bun@${inputs.bunVersion}` },
        ],
      },
      runDetails: { builder: { id: "urn:bao-kms-provider:scripts-release" } },
    },
  });
}
