import { expect, test } from "bun:test";
import { withRunbooks } from "./runbook-urls.ts";

const PLACEHOLDER = "https://docs.example.com/bao-kms-provider";
const PACKAGED = "file:///usr/share/doc/bao-kms-provider";

const rule = (url: string): string => `          runbook_url: "${url}"\n`;

test.each([
  ["the pages of the package", PLACEHOLDER, `${PACKAGED}/troubleshooting.md#timeout`],
  ["a homepage", "https://kms.example.org/docs", "https://kms.example.org/docs/troubleshooting#timeout"],
  [
    "a slash at its end",
    "https://kms.example.org/docs/",
    "https://kms.example.org/docs/troubleshooting#timeout",
  ],
  ["no path", "https://kms.example.org", "https://kms.example.org/troubleshooting#timeout"],
])("%s", (_, homepage, expected) => {
  expect(withRunbooks(rule("https://old.example.org/a/troubleshooting#timeout"), homepage)).toBe(
    rule(expected),
  );
});

test.each(["deployment/systemd", "configure/auth-cert", "operations/rotation", "security/hardening"])(
  "a page in a folder: %s",
  (page) => {
    const packaged = rule(`${PACKAGED}/${page}.md#2-rotate`);
    const published = rule(`https://kms.example.org/docs/${page}#2-rotate`);
    expect(withRunbooks(packaged, "https://kms.example.org/docs")).toBe(published);
    expect(withRunbooks(published, PLACEHOLDER)).toBe(packaged);
    expect(withRunbooks(packaged, PLACEHOLDER)).toBe(packaged);
  },
);

test("every rule is changed, and nothing else", () => {
  const text = `# see https://a.example.org/troubleshooting#timeout\n${rule("https://a.org/faq#b")}${rule("https://b.org/faq#c")}`;
  expect(withRunbooks(text, "https://kms.example.org")).toBe(
    `# see https://a.example.org/troubleshooting#timeout\n${rule("https://kms.example.org/faq#b")}${rule("https://kms.example.org/faq#c")}`,
  );
});
