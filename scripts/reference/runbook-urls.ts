/** @module Where the alert rules' runbooks are: the homepage of package.json or, while that is a placeholder, the package. */
import { isPlaceholder } from "../../packaging/description.ts";

/** Where deb and rpm install docs/. */
const PACKAGED = "file:///usr/share/doc/bao-kms-provider";
const RUNBOOK_URL =
  /(?<=runbook_url: ")[^"#]*?\/((?:(?:configure|deployment|operations|security)\/)?[a-z-]+)(?:\.md)?(?=#)/g;

/** The rules with the runbook_url of each alert below `homepage`. */
export function withRunbooks(rules: string, homepage: string): string {
  return rules.replace(RUNBOOK_URL, (_, page: string) =>
    isPlaceholder(homepage) ? `${PACKAGED}/${page}.md` : `${homepage.replace(/\/+$/, "")}/${page}`,
  );
}
