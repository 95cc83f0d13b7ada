/**
 * @module What an API server refuses of an object by the schema of its CustomResourceDefinition, in its strict mode. The
 * keywords that kubeadm-control-plane.schema.json uses; another keyword is an error of the test.
 */
import schema from "./kubeadm-control-plane.schema.json" with { type: "json" };

type Node = Readonly<Record<string, unknown>>;

const KNOWN = new Set(
  [
    "$comment type properties required items enum pattern format minimum",
    "minLength maxLength minItems maxItems minProperties",
    "x-kubernetes-list-type x-kubernetes-list-map-keys",
  ].flatMap((line) => line.split(" ")),
);

/** The paths that are refused, each with the keyword that refuses it. */
export const refusedControlPlane = (value: unknown): readonly string[] => [...refused(schema, value, "")];

function* refused(node: Node, value: unknown, path: string): Generator<string> {
  const unknown = Object.keys(node).find((keyword) => !KNOWN.has(keyword));
  if (unknown !== undefined) {
    throw new Error(`the keyword ${unknown} is not checked here`);
  }
  if (typeOf(value) !== node["type"]) {
    yield `${path}: type`;
  } else if (Array.isArray(value)) {
    yield* outside(node, "Items", value.length, path);
    for (const [index, item] of value.entries()) {
      yield* refused(isNode(node["items"]) ? node["items"] : {}, item, `${path}[${index}]`);
    }
  } else if (isNode(value)) {
    yield* outside(node, "Properties", Object.keys(value).length, path);
    const properties = isNode(node["properties"]) ? node["properties"] : {};
    for (const name of Array.isArray(node["required"]) ? node["required"].map(String) : []) {
      if (!Object.hasOwn(value, name)) {
        yield `${path}.${name}: required`;
      }
    }
    for (const [name, inner] of Object.entries(value)) {
      const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
      if (isNode(property)) {
        yield* refused(property, inner, `${path}.${name}`);
      } else {
        yield `${path}.${name}: unknown`;
      }
    }
  } else if (typeof value === "string") {
    yield* outside(node, "Length", value.length, path);
    if (typeof node["pattern"] === "string" && !new RegExp(node["pattern"], "u").test(value)) {
      yield `${path}: pattern`;
    }
    if (Array.isArray(node["enum"]) && !node["enum"].includes(value)) {
      yield `${path}: enum`;
    }
  } else if (typeof value === "number" && typeof node["minimum"] === "number" && value < node["minimum"]) {
    yield `${path}: minimum`;
  }
}

function* outside(node: Node, what: string, size: number, path: string): Generator<string> {
  const bound = (name: string, other: number): number => Number(node[`${name}${what}`] ?? other);
  if (size < bound("min", 0) || size > bound("max", Number.POSITIVE_INFINITY)) {
    yield `${path}: ${what}`;
  }
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function typeOf(value: unknown): string {
  if (Array.isArray(value)) {
    return "array";
  }
  return Number.isInteger(value) ? "integer" : value === null ? "null" : typeof value;
}
