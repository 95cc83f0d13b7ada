/** @module Why kube-apiserver would refuse a file, or why this program does before it asks: the closed set of rules, and the error. */
import { ProviderError } from "../../base/error-class.ts";

const MANUAL = "compare it with https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/";
const RIGHT_FILE = "give the name of the right file";
const NEW_SECRET = "make one with: head -c 32 /dev/urandom | base64";

/** Problem and advice. A problem continues "the EncryptionConfiguration FILE …"; `{path}` is the field, `{what}` what the caller adds. */
const RULES = {
  size: ["is larger than {what} bytes", RIGHT_FILE],
  encoding: ["is not valid UTF-8", "save it as UTF-8"],
  character: ["has a character that is not printable text", "remove it; end lines with a line feed"],
  syntax: ["{what}", "check indentation, colons, quotes and brackets near that line"],
  json_syntax: [
    "begins with { and is not valid JSON",
    "remove trailing commas and comments, or write it as YAML without the outer braces",
  ],
  nesting: ["is nested too deeply", RIGHT_FILE],
  tab: ["has a tab, which kube-apiserver accepts in few places", "write spaces"],
  alias: ["has a YAML alias", "write the value out in full"],
  tag: ["has a YAML tag", "remove it"],
  directive: ["has a YAML directive", "remove the line"],
  documents: [
    "begins another YAML document, which kube-apiserver would ignore",
    "keep one document in the file",
  ],
  key_not_scalar: [
    "has a list or a mapping where a field name belongs",
    "check the braces and commas near that line",
  ],
  duplicate_field: ["gives one field twice", "keep one of the two"],
  unknown_field: ["has a field in {path} that kube-apiserver does not know", "remove it"],
  wrong_type: ["has no {what} at {path}", MANUAL],
  kind: [
    "has another kind or apiVersion",
    "write apiVersion: apiserver.config.k8s.io/v1 and kind: EncryptionConfiguration",
  ],
  resources_empty: ["has no entry in {path}", MANUAL],
  resource_name: ["has at {path} {what}", MANUAL],
  resource_twice: ["gives a resource twice in {path}", "keep one of the two"],
  resource_overlap: [
    "gives in {path} a wildcard and a resource that it covers",
    "keep the wildcard, or put it into a later entry of its own",
  ],
  resource_masked: [
    "gives in {path} a resource that a wildcard of an earlier entry covers",
    "put the entry before the one with the wildcard",
  ],
  providers_empty: ["has no entry in {path}", MANUAL],
  provider_kind: [
    "has no kind of provider, or more than one, in {path}",
    "give each provider an entry of its own: kms, aescbc, aesgcm, secretbox, or identity: {}",
  ],
  keys_empty: ["has no key in {path}", "add a key, or remove this provider"],
  key_name: ["has no text at {path}", "give the key a name"],
  key_secret_missing: ["has no text at {path}", NEW_SECRET],
  key_secret_base64: ["has no base64 at {path}", NEW_SECRET],
  key_secret_length: ["has a key of {what}", NEW_SECRET],
  kms_name: ["has {what} at {path}", "choose a name without a colon"],
  kms_name_twice: ["gives at {path} the name of another KMS provider", "keep one of the two"],
  kms_timeout: ["has no duration above zero at {path}", "write timeout: 3s"],
  kms_endpoint: ["has no unix URL at {path}", "write unix:// and the absolute path of the socket"],
  kms_cachesize: ["has {what}", "remove the field"],
  kms_version: ["has neither v1 nor v2 at {path}", "write apiVersion: v2"],
} as const satisfies Readonly<Record<string, readonly [string, string]>>;

export type EncryptionRule = keyof typeof RULES;

/** A field of the file. Without a line the whole file is meant. */
export interface FieldPosition {
  readonly path: string;
  readonly line: number | undefined;
}

export class EncryptionConfigError extends ProviderError<"encryption_config_invalid"> {
  readonly rule: EncryptionRule;
  readonly line: number | undefined;

  constructor(file: string, { rule, line, problem, advice }: Refused["refusal"]) {
    super({
      code: "encryption_config_invalid",
      errorClass: "config_invalid",
      message: `the EncryptionConfiguration ${file}${line === undefined ? "" : `, line ${line},`} ${problem}`,
      advice,
    });
    this.rule = rule;
    this.line = line;
  }
}

/** Carries a refusal out of the decoder; decodeEncryptionConfig adds the file's name. */
export class Refused extends Error {
  readonly refusal: Pick<EncryptionConfigError, "rule" | "line"> & {
    readonly problem: string;
    readonly advice: string;
  };

  constructor(refusal: Refused["refusal"]) {
    super(refusal.rule);
    this.refusal = refusal;
  }
}

/** No text of the file may be in `what`. @throws Refused */
export function refuse(
  rule: EncryptionRule,
  { path = "", line }: Partial<FieldPosition> = {},
  what = "",
  advice: string = RULES[rule][1],
): never {
  const problem = RULES[rule][0].replace("{path}", () => path).replace("{what}", () => what);
  throw new Refused({ rule, line, problem, advice });
}
