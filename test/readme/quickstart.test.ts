/** docs/quickstart.md: every command, in one shell, as a reader types it; only the directory and the ports are the test's own. */
import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { builtExecutable } from "../harness/executable.ts";
import { freePorts } from "../harness/free-port.ts";
import { describeReal } from "../harness/real-suite.ts";
import { blocksIn } from "../packaging/doc-blocks.ts";
import { root } from "./commands.ts";

const TIMEOUT_MS = 180_000;
const page = readFileSync(join(root, "docs", "quickstart.md"), "utf8");
const blocks = blocksIn("quickstart.md", page);
/** The ports that the page and its values name. */
const PORTS = ["8200", "2379", "2380", "6443", "8081", "8082"];

test("every block of the quickstart is run", () => {
  expect(blocks.filter(({ id }) => id === undefined)).toEqual([]);
  expect(blocks.length).toBe(page.match(/^```sh$/gm)?.length ?? 0);
});

describeReal(
  "the quickstart",
  { needs: ["bao", "etcd", "etcdctl", "kube-apiserver"], long: true },
  (binary) => {
    test(
      "ends with a Secret that is encrypted in etcd, and leaves nothing",
      async () => {
        const home = mkdtempSync(join(tmpdir(), "qs-"));
        symlinkSync(builtExecutable(), join(home, "bao-kms-provider"));
        const free = await freePorts(PORTS.length);
        const withFreePorts = (text: string): string =>
          PORTS.reduce((each, port, index) => each.replaceAll(`1:${port}`, `1:${free[index]}`), text);
        const typed = blocks
          .map(({ text }) => withFreePorts(text))
          .join("\n")
          .replace("--secure-port=6443", `--secure-port=${free[3]}`)
          .replace("/usr/share/doc/bao-kms-provider/examples/", `${root}/examples/`)
          .replace("\nkill ", "\ncp stored.txt ..\nkill ");
        const script = `trap 'kill -9 $(jobs -p) 2> /dev/null || true' EXIT\nset -e\n${typed.replace("sed -i ", `sed -i -e 's/:8081/:${free[4]}/' -e 's/:8082/:${free[5]}/' `)}`;
        try {
          const { status, stdout, stderr } = spawnSync("bash", ["-c", script], {
            cwd: home,
            encoding: "utf8",
            timeout: TIMEOUT_MS - 10_000,
            env: {
              HOME: home,
              PATH: [
                home,
                ...(["bao", "etcd", "etcdctl", "kube-apiserver"] as const).map((name) =>
                  dirname(binary(name)),
                ),
                process.env["PATH"],
              ].join(delimiter),
            },
          });
          expect({ status, stderr: status === 0 ? "" : stderr + stdout }).toEqual({ status: 0, stderr: "" });
          expect(readFileSync(join(home, "stored.txt"), "utf8")).toBe("k8s:enc:kms:v2:openbao-kms:");
          expect(existsSync(join(home, "kms-quickstart"))).toBe(false);
        } finally {
          rmSync(home, { recursive: true, force: true });
        }
      },
      TIMEOUT_MS,
    );
  },
);
