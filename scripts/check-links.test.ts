import { expect, test } from "bun:test";
import { anchorsIn, linksIn } from "./check-links.ts";

test.each([
  ["[a](b.md)", ["b.md"]],
  ["[a](b.md#c) and [d](#e)", ["b.md#c", "#e"]],
  ["[a](https://example.com/b) [m](mailto:a@example.com)", []],
  ["`[a](b.md)`", []],
  ["```sh\n[a](b.md)\n```\n[c](d.md)", ["d.md"]],
  ["   ```sh\n[a](b.md)\n   ```", []],
])("links in %j", (markdown, links) => {
  expect(linksIn(markdown)).toEqual(links);
});

test.each([
  ["# One two", ["one-two"]],
  ["## `migrate`: what, and why?", ["migrate-what-and-why"]],
  ["# Same\n# Same\n# Same", ["same", "same-1", "same-2"]],
  ["# status_stale", ["status_stale"]],
  ["```sh\n# not a heading\n```", []],
  ["text # not one", []],
])("anchors in %j", (markdown, anchors) => {
  expect([...anchorsIn(markdown)]).toEqual(anchors);
});
