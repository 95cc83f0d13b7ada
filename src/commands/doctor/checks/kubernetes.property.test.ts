import { expect, test } from "bun:test";
import { decodeEncryptionConfig } from "../../../kubernetes/encryption-config/decode.ts";
import { lostReaders } from "../../../kubernetes/encryption-config/readers.ts";
import { EncryptionConfigError } from "../../../kubernetes/encryption-config/refusal.ts";
import { encryptionFindings, legacyFindings, lostFinding } from "./kubernetes.ts";

const SECRETS = [
  "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
  "QUJDREVGNjc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
];
const HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n";
const SAMPLES = [
  `${HEAD}resources: [{resources: [secrets], providers: [{aescbc: {keys: [{name: key1, secret: ${SECRETS[0]}}, {name: key2, secret: "${SECRETS[1]}"}]}},{identity: {}}]}]\n`,
  `${HEAD}resources:
- resources: [secrets]
  providers:
  - secretbox:
      keys:
      - name: key1
        secret: ${SECRETS[0]}
      - secret: '${SECRETS[1]}'
        name: key2
  - identity: {}
`,
];
/** Characters that mean something in YAML, and one that does not. */
const PUT = Array.from(" \n:,{}[]'\"#&*|>?-x");

const expected = { providerName: "bao", endpoint: "unix:///x", openbaoTimeoutMs: 2000 };
const none = decodeEncryptionConfig(
  Buffer.from(`${HEAD}resources:\n- resources: [secrets]\n  providers:\n  - identity: {}\n`),
  "none",
);

/** All that doctor prints about a file. */
function output(text: string): string {
  try {
    const config = decodeEncryptionConfig(Buffer.from(text), "FILE");
    return JSON.stringify([
      legacyFindings(config, undefined),
      encryptionFindings(config, expected),
      lostReaders(config, none).map(lostFinding),
    ]);
  } catch (error) {
    expect(error).toBeInstanceOf(EncryptionConfigError);
    return error instanceof EncryptionConfigError ? `${error.message} ${error.advice}` : "";
  }
}

/** Any eight characters of a secret in a row. */
const PIECES = SECRETS.flatMap((secret) =>
  Array.from({ length: secret.length - 8 }, (_, index) => secret.slice(index, index + 8)),
);

test.each(SAMPLES.map((sample, index) => [index, sample] as const))(
  "sample %d: no byte that is changed, added or removed makes a secret appear",
  (_, sample) => {
    for (let index = HEAD.length; index < sample.length; index += 1) {
      const [before, after] = [sample.slice(0, index), sample.slice(index + 1)];
      const changed = [before + after, ...PUT.map((put) => before + put + after)];
      const added = [":", "}", "\n"].map((put) => `${before}${put}${sample.slice(index)}`);
      for (const text of [...changed, ...added]) {
        const shown = output(text);
        expect(PIECES.filter((piece) => shown.includes(piece))).toEqual([]);
      }
    }
  },
  120_000,
);
