/** The service of docs/deployment/systemd.md that writes a JWT of a cloud's metadata service, against a stand-in for that service. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./artefacts.ts";
import { describeWithTools } from "./tool-suite.ts";

const METADATA = "http://metadata.google.internal";
const STATE = "/var/lib/openbao-kms";

/** As systemd reads it: a backslash at the end of a line continues it, and the quotes keep the script together. */
function scriptOfPage(): string {
  const page = readFileSync(join(root, "docs", "deployment", "systemd.md"), "utf8");
  const service = /^# \/etc\/systemd\/system\/openbao-kms-jwt\.service\n([\s\S]*?)^# /m.exec(page)?.[1] ?? "";
  const command = /^ExecStart=\/bin\/sh -c '([^']*)'$/m.exec(service.replaceAll("\\\n", " "));
  return command?.[1] ?? "";
}

describeWithTools("a JWT from a metadata service", { needs: { curl: "curl" } }, () => {
  const directory = mkdtempSync(join(tmpdir(), "metadata-"));
  const file = join(directory, "identity.jwt");
  const asked: string[] = [];
  let answer = new Response();
  let server: ReturnType<typeof Bun.serve>;
  beforeAll(() => {
    server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => {
        const { pathname, searchParams } = new URL(request.url);
        asked.push(`${request.headers.get("metadata-flavor")} ${pathname} ${searchParams.get("audience")}`);
        return answer;
      },
    });
  });
  afterAll(async () => {
    await server.stop(true);
    rmSync(directory, { recursive: true, force: true });
  });

  const run = async (): Promise<number> => {
    const script = scriptOfPage()
      .replace(METADATA, `http://127.0.0.1:${server.port}`)
      .replaceAll(STATE, directory)
      .replaceAll("chgrp openbao-kms", `chgrp ${process.getgid?.()}`);
    return Bun.spawn(["/bin/sh", "-c", script], { stderr: "ignore" }).exited;
  };

  test("the page's command asks for the audience, and replaces the file in one step", async () => {
    writeFileSync(file, "old", { mode: 0o600 });
    const before = statSync(file).ino;
    answer = new Response("header.claims.signature");
    expect(await run()).toBe(0);
    expect(asked).toEqual(["Google /computeMetadata/v1/instance/service-accounts/default/identity openbao"]);
    expect(readFileSync(file, "utf8")).toBe("header.claims.signature");
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(statSync(file).ino).not.toBe(before);
  });

  test("a refusal leaves the JWT as it is", async () => {
    answer = new Response("no", { status: 503 });
    expect(await run()).not.toBe(0);
    expect(readFileSync(file, "utf8")).toBe("header.claims.signature");
  });
});
