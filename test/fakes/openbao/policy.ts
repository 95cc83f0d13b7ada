/**
 * @module Policies: which capability a token has on a path. Reads the part of HCL that policies are written in and decides as
 * OpenBao does: the most specific path wins.
 */
/** What every token may do unless its role has `token_no_default_policy`; the part that touches these tests. */
export const DEFAULT_POLICY = `
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/wrapping/wrap" { capabilities = ["update"] }
path "sys/wrapping/lookup" { capabilities = ["update"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
`;

interface Rule {
  readonly path: string;
  readonly capabilities: readonly string[];
}

const RULE = /path\s+"([^"]*)"\s*\{\s*capabilities\s*=\s*\[([^\]]*)\]\s*\}/g;

/** The rules of a policy, or undefined when something in it is no rule. Comments start with `#` or `//`. */
export function parsePolicy(text: string): readonly Rule[] | undefined {
  const bare = text.replace(/^\s*(#|\/\/).*$/gm, "");
  if (bare.replace(RULE, "").trim() !== "") {
    return undefined;
  }
  return [...bare.matchAll(RULE)].map((match) => ({
    path: match[1] ?? "",
    capabilities: [...(match[2] ?? "").matchAll(/"([^"]*)"/g)].map((each) => each[1] ?? ""),
  }));
}

/** The capabilities of all policies together on one path, sorted; `["deny"]` when there are none. */
export function capabilitiesOn(policies: readonly string[], path: string): readonly string[] {
  const rules = policies
    .flatMap((text) => parsePolicy(text) ?? [])
    .filter((rule) => matches(rule.path, path));
  const best = Math.max(-1, ...rules.map((rule) => precision(rule.path)));
  const granted = new Set(
    rules.filter((rule) => precision(rule.path) === best).flatMap((rule) => rule.capabilities),
  );
  return granted.size === 0 || granted.has("deny") ? ["deny"] : [...granted].sort();
}

function matches(pattern: string, path: string): boolean {
  const prefix = pattern.endsWith("*");
  const source = (prefix ? pattern.slice(0, -1) : pattern)
    .split("/")
    .map((segment) => (segment === "+" ? "[^/]+" : segment.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")))
    .join("/");
  return new RegExp(`^${source}${prefix ? ".*" : ""}$`).test(path);
}

/** An exact path beats every pattern; among patterns the one whose first wildcard comes latest. */
function precision(pattern: string): number {
  const wildcard = pattern.search(/\+|\*$/);
  return wildcard < 0 ? Number.MAX_SAFE_INTEGER : wildcard;
}
