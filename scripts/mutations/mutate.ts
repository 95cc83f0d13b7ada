/** @module Single-line mutations of a source file, made by rule; one that changes no compiled code is left out. */
import { createHash } from "node:crypto";

export interface Mutation {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly rule: string;
  readonly before: string;
  readonly after: string;
}

interface Rule {
  readonly name: string;
  /** Each match on a line is one mutation. */
  readonly pattern: RegExp;
  readonly replace: (match: RegExpExecArray) => string | undefined;
}

const swap = (name: string, pattern: RegExp, to: string): Rule => ({ name, pattern, replace: () => to });

const RULES: readonly Rule[] = [
  swap("equality", / === /g, " !== "),
  swap("inequality", / !== /g, " === "),
  swap("at most, by one", / <= /g, " < "),
  swap("at least, by one", / >= /g, " > "),
  swap("less, by one", / < /g, " <= "),
  swap("more, by one", / > /g, " >= "),
  swap("and", / && /g, " || "),
  swap("or", / \|\| /g, " && "),
  // Of numbers that are root's own 0 the other side says nothing.
  swap("nullish", /(?<!process\.get\w+\?\.\(\)) \?\? /g, " && "),
  swap("plus", / \+ (?=\d)/g, " - "),
  swap("minus", / - (?=\d)/g, " + "),
  // A listener that is removed by its own abort is called once in any case.
  swap("true", /(?<!once: )\btrue\b/g, "false"),
  swap("false", /\bfalse\b/g, "true"),
  swap("negation", /(?<=[(\s])!(?=[\w(])/g, ""),
  {
    name: "guard",
    pattern: /^(\s*(?:\} else )?)if \((.+)\) \{$/g,
    replace: ([, head]) => `${head}if (false) {`,
  },
  {
    name: "statement",
    pattern: /^\s+(?:await )?[\w.]+(?:\?\.)?\([^=]*\);$/g,
    replace: ([text]) => text.replace(/\S.*$/, ";"),
  },
  { name: "throw", pattern: /^\s+throw .*;$/g, replace: ([text]) => text.replace(/\S.*$/, ";") },
  {
    name: "bound",
    pattern:
      /(?<=^(?:export )?const [A-Z0-9_]*(?:MAX|MIN|BYTES|LIMIT|MODE|MASK|DEPTH)[A-Z0-9_]* = )\d[\d_]*(?=[^\w])/g,
    replace: ([text]) => String(Number(text.replaceAll("_", "")) + 1),
  },
  {
    name: "permission bits",
    pattern: /\b0o[0-7]+\b/g,
    replace: ([text]) => `0o${(Number(text) ^ 0o002).toString(8)}`,
  },
];

const transpiler = new Bun.Transpiler({ loader: "ts" });

/** All mutations of a file, in the order of their lines. */
export function mutationsOf(file: string, source: string): readonly Mutation[] {
  const lines = source.split("\n");
  const compiled = transpiler.transformSync(source);
  return lines.flatMap((before, index) =>
    RULES.flatMap(({ name, pattern, replace }) =>
      [...before.matchAll(pattern)].flatMap((match): readonly Mutation[] => {
        const by = isInText(before, match.index) ? undefined : replace(match);
        const after =
          by === undefined
            ? before
            : before.slice(0, match.index) + by + before.slice(match.index + match[0].length);
        const mutated = lines.with(index, after).join("\n");
        return after !== before && compiles(mutated) !== compiled
          ? [{ file, line: index + 1, rule: name, before, after }]
          : [];
      }),
    ),
  );
}

/** The compiled code; that of the unchanged file stands for what does not compile. */
function compiles(source: string): string | undefined {
  try {
    return transpiler.transformSync(source);
  } catch {
    return undefined;
  }
}

/** Inside quotes, as far as one line shows. */
function isInText(line: string, index: number): boolean {
  const quotes = line.slice(0, index).replace(/\\./g, "").match(/["'`]/g) ?? [];
  return quotes.length % 2 === 1;
}

/** The same choice for the same code and seed; every group gets its share of `count`, and at least one. */
export function sample(
  mutations: readonly Mutation[],
  {
    count,
    seed,
    groupOf,
  }: { readonly count: number; readonly seed: string; readonly groupOf: (file: string) => string },
): readonly Mutation[] {
  const rank = ({ file, before, after, rule }: Mutation): string =>
    createHash("sha256").update([seed, file, rule, before.trim(), after.trim()].join("\0")).digest("hex");
  const groups = Map.groupBy(mutations, ({ file }) => groupOf(file));
  return [...groups.values()].flatMap((group) => {
    const share = Math.max(1, Math.round((count * group.length) / mutations.length));
    return [...group].sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, share);
  });
}
