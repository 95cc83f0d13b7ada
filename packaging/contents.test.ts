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

  test.each(["package", "tarball", "systemd", "static-pod"] as const)(
    "%s: the runbooks, the configure pages and troubleshooting are in it, and the map leads to every page",
    (artefact) => {
      const pages = contents
        .filter((piece) => piece.in.includes(artefact) && piece.from.startsWith("docs/"))
        .flatMap((piece) => pagesOf(piece.from))
        .filter((page) => page.endsWith(".md"));
      const map = readFileSync(join(root, "docs", "README.md"), "utf8");
      const wanted = ["configure", "operations"].flatMap((folder) => pagesOf(join("docs", folder)));
      expect([...wanted, "docs/troubleshooting.md"].filter((page) => !pages.includes(page))).toEqual([]);
      expect(
        pages.filter((page) => page !== "docs/README.md" && !map.includes(`(${page.slice("docs/".length)})`)),
      ).toEqual([]);
    },
  );
});
