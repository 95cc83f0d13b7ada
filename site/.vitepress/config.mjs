// The site of docs/. Links to repository files that are not pages stay unchanged; scripts/check-links.ts checks them.
import { readFileSync } from "node:fs";
import { defineConfig } from "vitepress";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

const section = (text, pages) => ({
  text,
  items: pages.map(([title, link]) => ({ text: title, link: `/${link}` })),
});

const sidebar = [
  section("Start", [
    ["Map", ""],
    ["Quickstart", "quickstart"],
    ["How it works", "how-it-works"],
    ["FAQ", "faq"],
    ["Compatibility", "compatibility"],
  ]),
  section("Install", [
    ["Choose a model", "deployment/choosing-a-model"],
    ["Install and verify", "deployment/install"],
    ["systemd service", "deployment/systemd"],
    ["Static pod", "deployment/static-pod"],
    ["Cluster API", "deployment/cluster-api"],
    ["Sidecar", "deployment/sidecar"],
    ["Users and permissions", "deployment/linux-identity"],
    ["Upgrade, roll back, remove", "deployment/upgrade"],
  ]),
  section("Recipes", [
    ["kubeadm", "deployment/kubeadm"],
    ["k3s", "deployment/k3s"],
    ["RKE2", "deployment/rke2"],
    ["Talos", "deployment/talos"],
    ["Several nodes", "deployment/several-nodes"],
    ["Monitoring", "operations/monitoring"],
    ["Migrate", "operations/migrating"],
    ["Switch from Go", "operations/switching-from-go"],
  ]),
  section("Log in to OpenBao", [
    ["JWT from a file", "configure/auth-jwt-file"],
    ["OAuth2", "configure/auth-oauth2"],
    ["SPIFFE", "configure/auth-spiffe"],
    ["Certificate", "configure/auth-cert"],
    ["AppRole", "configure/auth-approle"],
    ["Several OpenBao nodes", "configure/addresses"],
  ]),
  section("Operate", [
    ["Troubleshooting", "troubleshooting"],
    ["Rotate the key", "operations/rotation"],
    ["Audit", "operations/audit"],
    ["Disaster recovery", "operations/disaster-recovery"],
    ["Leave the provider", "operations/leaving"],
    ["Hardening", "security/hardening"],
  ]),
  section("Reference", [
    ["Configuration", "reference/configuration"],
    ["Commands", "reference/commands"],
    ["Metrics", "reference/metrics"],
    ["Log", "reference/logs"],
  ]),
  section("For contributors", [
    ["Architecture of the code", "architecture"],
    ["Reliability", "reliability"],
    ["Performance", "performance"],
    ["HTTP/2", "http2"],
    ["Dependencies", "dependencies"],
  ]),
];

/** GitHub's anchors, so that one link works in both places. */
const slugify = (heading) =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Number}_ -]/gu, "")
    .replaceAll(" ", "-");

export default defineConfig({
  title: "bao-kms-provider",
  description: "Kubernetes KMS v2 provider for OpenBao Transit",
  // A copy that the build makes: pages must lie beside node_modules.
  srcDir: "docs",
  outDir: "../dist/site",
  base: process.env.SITE_BASE ?? "/",
  cleanUrls: true,
  rewrites: { "README.md": "index.md" },
  // JSON files beside the pages are downloads of the repository, not pages of the site.
  ignoreDeadLinks: [/\.json$/],
  markdown: {
    anchor: { slugify },
    config: (md) => {
      // `{{ name }}` in a page is text, and no expression of Vue.
      const codeInline = md.renderer.rules.code_inline;
      md.renderer.rules.code_inline = (...all) => codeInline(...all).replace("<code", "<code v-pre");
      const fence = md.renderer.rules.fence;
      md.renderer.rules.fence = (tokens, index, ...rest) =>
        tokens[index].info === "mermaid"
          ? `<Mermaid source="${encodeURIComponent(tokens[index].content)}" />`
          : fence(tokens, index, ...rest);
    },
  },
  themeConfig: {
    sidebar,
    outline: [2, 3],
    search: { provider: "local" },
    nav: [{ text: `Version ${version}`, link: "/compatibility" }],
  },
});
