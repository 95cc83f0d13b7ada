/** @module From the values file to a node's configuration, checked as `serve` checks it; only what init decides may be left out. */
import { stringify } from "yaml";
import { decodeConfig, MAX_CONFIG_BYTES } from "../../config/decode-config.ts";
import { decodeYaml } from "../../config/decode-yaml.ts";
import { ConfigError } from "../../config/errors.ts";
import { fieldTable } from "../../config/field-table.ts";
import { configSchema } from "../../config/schema.ts";
import { refuseWhen } from "./errors.ts";

export interface ValuesRequest {
  readonly values: { readonly bytes: Uint8Array; readonly file: string };
  readonly isNewKey: boolean;
  /** Takes the place of {node} in the values. */
  readonly node: string | undefined;
  /** Takes the place of server.socketGroup: a container knows no host names. */
  readonly socketGid: number | undefined;
  readonly random: (bytes: number) => Uint8Array;
}

type Tree = Readonly<Record<string, unknown>>;

/** `text` is that of config.yaml, `furtherValues` of the values file for further nodes. @throws ConfigError, InitError */
export function nodeConfig({ values: { bytes, file }, isNewKey, node, socketGid, random }: ValuesRequest) {
  const decoded = decodeYaml(bytes, MAX_CONFIG_BYTES);
  if (!decoded.ok) {
    throw new ConfigError("config_malformed", file, [{ path: "", ...decoded }]);
  }
  const lineage = at(decoded.value, ["transit", "keyIdScope", "keyLineageId"]);
  refuseWhen(
    isNewKey && lineage !== undefined,
    `--new-key: ${file} already names a key in transit.keyIdScope.keyLineageId`,
    "leave out --new-key for the further nodes of a cluster; for a new cluster remove transit.keyIdScope.keyLineageId first",
  );
  let tree = withDefault(decoded.value, ["configVersion"], "v1alpha1");
  if (isNewKey) {
    const id = `lineage-${Buffer.from(random(8)).toString("hex")}`;
    tree = withValue(tree, ["transit", "keyIdScope", "keyLineageId"], id);
  }
  if (socketGid !== undefined) {
    tree = withValue(tree, ["server", "socketGroup"], String(socketGid));
  }
  tree = withDefault(tree, ["bootstrap", "missingState"], "observe");
  checkNode(node, tree, file);
  const text = CONFIG_HEADER + configText(node === undefined ? tree : withNode(tree, node));
  const furtherValues = node === undefined ? undefined : VALUES_HEADER + configText(tree);
  try {
    return { config: decodeConfig(Buffer.from(text), file).config, text, furtherValues };
  } catch (error) {
    throw error instanceof ConfigError && lineage === undefined ? withKeyHint(error, file) : error;
  }
}

const SCHEMA = "# yaml-language-server: $schema=/usr/share/doc/bao-kms-provider/config.schema.json\n";
const CONFIG_HEADER = `${SCHEMA}# Made by bao-kms-provider init. Install it root:openbao-kms 0640 as /etc/openbao-kms/config.yaml.
# Never change the parts of transit.keyIdScope, openbao.instanceId or openbao.namespace: they name the key in every stored object.
`;
const VALUES_HEADER = `# Made by bao-kms-provider init. Values for the further nodes of this cluster:
# bao-kms-provider init --values values.yaml --node NAME --out DIR
`;

/** Fields in the order of the reference page. */
function configText(tree: unknown): string {
  const order = new Map(fieldTable(configSchema).map(({ path }, index) => [path, index]));
  const sorted = (value: unknown, prefix: string): unknown => {
    if (!isTree(value)) {
      return value;
    }
    const rank = (name: string): number => order.get(prefix + name) ?? Number.POSITIVE_INFINITY;
    return Object.fromEntries(
      Object.entries(value)
        .sort(([left], [right]) => rank(left) - rank(right))
        .map(([name, inner]) => [name, sorted(inner, `${prefix}${name}.`)]),
    );
  };
  return stringify(sorted(tree, ""), { lineWidth: 0 }).replace(
    /^( +)(?=missingState: observe$)/m,
    `$1# ${OBSERVE_COMMENT}\n$1`,
  );
}

const NODE = "{node}";

function checkNode(node: string | undefined, tree: unknown, file: string): void {
  const hasPlace = JSON.stringify(tree ?? null).includes(NODE);
  refuseWhen(
    hasPlace && node === undefined,
    `--node: missing, although ${file} has ${NODE} in it`,
    "give --node and the name of the node that the files are for; --model cluster-api needs values without it",
  );
  refuseWhen(
    !hasPlace && node !== undefined,
    `--node: ${file} has no ${NODE} that the name could replace`,
    `write ${NODE} where the values differ between nodes, for example expectedSubject: kms-${NODE}; for further nodes use the values.yaml that init wrote for the first`,
  );
}

function withNode(tree: unknown, node: string): unknown {
  if (typeof tree === "string") {
    return tree.replaceAll(NODE, node);
  }
  if (Array.isArray(tree)) {
    return tree.map((each) => withNode(each, node));
  }
  return isTree(tree)
    ? Object.fromEntries(Object.entries(tree).map(([name, value]) => [name, withNode(value, node)]))
    : tree;
}

const OBSERVE_COMMENT =
  "A replaced node observes a rotated key and begins without copied files; refuse asks for the files.";

function withKeyHint(error: ConfigError, file: string): ConfigError {
  const problems = error.problems.map((problem) =>
    problem.path === "transit.keyIdScope.keyLineageId"
      ? {
          ...problem,
          fix: "give --new-key for the first node of a cluster; for further nodes give as --values the values.yaml, or the config.yaml, of the first",
        }
      : problem,
  );
  return new ConfigError("config_refused", file, problems);
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function at(tree: unknown, [name, ...rest]: readonly string[]): unknown {
  if (name === undefined) {
    return tree;
  }
  return isTree(tree) && Object.hasOwn(tree, name) ? at(tree[name], rest) : undefined;
}

const withDefault = (tree: unknown, path: readonly string[], value: string): unknown =>
  at(tree, path) === undefined ? withValue(tree, path, value) : tree;

function withValue(tree: unknown, [name, ...rest]: readonly string[], value: unknown): unknown {
  if (name === undefined) {
    return value;
  }
  // What is not a section is left for the schema to refuse.
  return tree === undefined || tree === null || isTree(tree)
    ? { ...tree, [name]: withValue(isTree(tree) ? tree[name] : undefined, rest, value) }
    : tree;
}
