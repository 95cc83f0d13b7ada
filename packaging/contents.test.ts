import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { contents } from "./contents.ts";

const root = join(import.meta.dir, "..");

function pagesOf(from: string): readonly string[] {
  return statSync(join(root, from)).isDirectory()
    ? readdirSync(join(root, from)).map((name) => join(from, name))
    : [from];
}

describe("the table of contents", () => {
  test.each(["package", "tarball", "systemd", "static-pod"] as const)(
    "%s: a page links only to what lies beside it",
    (artefact) => {
      const files = contents
        .filter((piece) => piece.in.includes(artefact) && existsSync(join(root, piece.from)))
        .flatMap((piece) => pagesOf(piece.from));
      const dangling = files
        .filter((file) => file.endsWith(".md"))
        .flatMap((page) =>
          [...readFileSync(join(root, page), "utf8").matchAll(/\]\((?!https?:)([^)#]+)/g)]
            .map(([, target = ""]) => normalize(join(dirname(page), target)))
            .filter((target) => !files.includes(target))
            .map((target) => `${page} -> ${target}`),
        );
      expect(dangling).toEqual([]);
    },
  );
});
