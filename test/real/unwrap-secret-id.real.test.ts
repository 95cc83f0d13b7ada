/**
 * `unwrap-secret-id` as root types it: the compiled executable, a secret id that the bao command wrapped, a real OpenBao, in its
 * root namespace and in one of its own. What it writes lets doctor and a running provider in.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { textAt } from "../fakes/openbao/json-at.ts";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { provision } from "../fakes/openbao/provision.ts";
import { eventually } from "../harness/eventually.ts";
import { type RealOpenBao, startOpenBao } from "../harness/openbao.ts";
import { type Provider, prepareProvider } from "../harness/provider.ts";
import { describeReal } from "../harness/real-suite.ts";

const TIMEOUT_MS = 60_000;
const isRoot = process.getuid?.() === 0;
/** Any number but root's own: the file must change hands. */
const GROUP = 24_243;

const SECRET_ID_PATH = "auth/approle/role/kms/secret-id";
const NAMESPACES = [
  ["the root namespace", ""],
  ["a namespace", "team"],
  ["a namespace in a namespace", "team/control-plane"],
] as const;

describeReal("unwrap-secret-id on a real OpenBao", { needs: ["bao"] }, (binary) => {
  let openbao: RealOpenBao;
  beforeAll(async () => {
    openbao = await startOpenBao(binary("bao"));
    await openbao.operator.must("POST", "sys/namespaces/team", {});
    await openbao.operator.must("POST", "sys/namespaces/control-plane", {}, { namespace: "team" });
    // The same mount and role in a namespace that no configuration names.
    await openbao.operator.must("POST", "sys/namespaces/elsewhere", {});
    await openbao.operator.must("POST", "sys/auth/approle", { type: "approle" }, { namespace: "elsewhere" });
    await openbao.operator.must("POST", "auth/approle/role/kms", {}, { namespace: "elsewhere" });
  }, TIMEOUT_MS);
  afterAll(() => openbao.dispose());

  if (!isRoot) {
    console.log("skipped: unwrap-secret-id: only root may run it");
  }
  describe.skipIf(!isRoot).each(NAMESPACES)("in %s", (_, namespace) => {
    const inNamespace = namespace === "" ? {} : { namespace };
    const issuer = makeJwtIssuer();
    const dir = mkdtempSync(join(tmpdir(), "unwrap-"));
    const client = join(dir, "client");
    const secretIdFile = join(client, "secret-id");
    let provider: Provider;

    beforeAll(async () => {
      const names = { ...(await provision(inside(namespace), issuer.publicKeyPem)), namespace };
      await must("sys/auth/approle", { type: "approle" });
      for (const role of ["kms", "other"]) {
        await must(`auth/approle/role/${role}`, { token_policies: [names.policyName], token_ttl: "20m" });
      }
      const role = await openbao.operator.must(
        "GET",
        "auth/approle/role/kms/role-id",
        undefined,
        inNamespace,
      );
      const approle = { mountPath: "auth/approle", roleId: textAt(role, "data", "role_id"), secretIdFile };
      const config = { auth: { method: "approle", approle } };
      provider = await prepareProvider({ openbao, names, issuer, config });
    }, TIMEOUT_MS);
    afterAll(async () => {
      await provider?.dispose();
      rmSync(dir, { recursive: true });
    });
    beforeEach(() => {
      rmSync(client, { recursive: true, force: true });
      mkdirSync(client, { mode: 0o750 });
      writeFileSync(secretIdFile, "the old one\n");
    });

    const inside = (name: string): RealOpenBao["operator"] => ({
      call: (method, path, body, more) =>
        openbao.operator.call(method, path, body, { ...more, namespace: name }),
      must: (method, path, body, more) =>
        openbao.operator.must(method, path, body, { ...more, namespace: name }),
    });
    const must = (path: string, body: Parameters<RealOpenBao["operator"]["must"]>[2] = {}) =>
      inside(namespace).must("POST", path, body);

    /** As docs/configure/auth-approle.md has it typed. */
    const wrap = (ttl = "5m", path = SECRET_ID_PATH, where: string = namespace): string => {
      const words = ["write", `-wrap-ttl=${ttl}`, "-f", "-field=wrapping_token", path];
      const { status, stdout, stderr } = spawnSync(binary("bao"), words, {
        encoding: "utf8",
        env: { ...openbao.environment, BAO_NAMESPACE: where },
      });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      return stdout;
    };
    const command = (words: readonly string[], input = "") => {
      const { status, stdout, stderr } = spawnSync(provider.executable, words, {
        cwd: "/",
        encoding: "utf8",
        env: { PATH: "/usr/bin:/bin" },
        input,
        timeout: 20_000,
      });
      return { code: status, stdout, stderr };
    };
    const unwrap = (token: string) =>
      command(
        ["unwrap-secret-id", "--config", provider.configPath, "--role", "kms", "--group", String(GROUP)],
        token,
      );
    const nothingIsWritten = (): void => {
      expect(readdirSync(client)).toEqual(["secret-id"]);
      expect(readFileSync(secretIdFile, "utf8")).toBe("the old one\n");
    };
    const opens = async (token: string): Promise<boolean> =>
      (
        await openbao.operator.call(
          "POST",
          "sys/wrapping/unwrap",
          {},
          { token: token.trim(), ...inNamespace },
        )
      ).status === 200;

    test(
      "the file is written as it should be; doctor and the provider log in with it",
      async () => {
        const token = wrap();
        const answer = unwrap(token);
        expect(answer).toMatchObject({ code: 0, stderr: "" });
        expect(answer.stdout).toContain(`✓ ${secretIdFile} written (root:${GROUP} 0640)`);
        expect(answer.stdout).toContain("OpenBao let it in");
        expect(readdirSync(client)).toEqual(["secret-id"]);
        const { mode, uid, gid } = statSync(secretIdFile);
        expect({ mode: mode & 0o7777, uid, gid }).toEqual({ mode: 0o640, uid: 0, gid: GROUP });
        const secretId = readFileSync(secretIdFile, "utf8");
        expect(secretId).toMatch(/^[0-9a-f-]{36}\n$/);
        expect(answer.stdout).not.toContain(secretId.trim());

        const doctor = command(["doctor", "--config", provider.configPath, "--output", "json"]);
        expect(doctor.stdout).toContain('"id": "openbao.auth",\n      "status": "passed"');
        expect(doctor.code).toBe(0);
        await provider.start();
        expect((await provider.client.status()).healthz).toBe("ok");
        await provider.stop();
      },
      TIMEOUT_MS,
    );

    test("a token that was used already is reported as such", async () => {
      const token = wrap();
      expect(await opens(token)).toBe(true);
      const { code, stdout, stderr } = unwrap(token);
      expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
      expect(stderr).toContain("it has expired, or it was used before");
      nothingIsWritten();
    });

    test("a token that has expired is reported as such", async () => {
      const token = wrap("1s");
      await eventually(
        "the wrapping token expires",
        async () =>
          (await openbao.operator.call("POST", "sys/wrapping/lookup", { token: token.trim() }, inNamespace))
            .status === 400,
        { timeoutMs: 10_000 },
      );
      const { code, stdout, stderr } = unwrap(token);
      expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
      expect(stderr).toContain("it has expired, or it was used before");
      nothingIsWritten();
    });

    test("one that was made in another namespace is refused, and replaces nothing", () => {
      const { code, stdout, stderr } = unwrap(wrap("5m", SECRET_ID_PATH, "elsewhere"));
      expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
      expect(stderr).toContain("openbao.namespace with the one that the secret id was made in");
      nothingIsWritten();
    });

    test("a token of another role is left as it is", async () => {
      const token = wrap("5m", "auth/approle/role/other/secret-id");
      const { code, stderr } = unwrap(token);
      expect(code).toBe(4);
      expect(stderr).toContain("was not made by auth/approle/role/kms/secret-id");
      nothingIsWritten();
      expect(await opens(token)).toBe(true);
    });

    test.each([
      ["an ordinary token", () => openbao.rootToken],
      ["what is no token of this OpenBao", () => "s.AAAAAAAAAAAAAAAAAAAAAAAA"],
    ])("%s opens nothing and is not shown", (_name, token) => {
      const { code, stdout, stderr } = unwrap(token());
      expect(code).toBe(4);
      expect(stdout + stderr).not.toContain(token());
      expect(stderr).toContain("does not know the wrapping token");
      nothingIsWritten();
    });
  });
});
