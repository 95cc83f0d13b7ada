/**
 * What an operator sees of the compiled executable: why a start fails, what a signal does, when a diagnosis ends.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { makeFakeOpenBao } from "../fakes/openbao/fake-openbao.ts";
import { serveFakeOpenBao } from "../fakes/openbao/fake-server.ts";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { operator } from "../fakes/openbao/operator.ts";
import { type Provisioning, provision } from "../fakes/openbao/provision.ts";
import { eventually } from "../harness/eventually.ts";
import { type LogLine, type Provider, type ProviderOptions, prepareProvider } from "../harness/provider.ts";

const PATIENCE = { timeoutMs: 8000 };
const openbao = makeFakeOpenBao();
const issuer = makeJwtIssuer();
let server: Awaited<ReturnType<typeof serveFakeOpenBao>>;
let names: Provisioning;
let provider: Provider;

beforeAll(async () => {
  server = await serveFakeOpenBao(openbao);
  names = await provision(operator(server, openbao.rootToken), issuer.publicKeyPem);
});
afterEach(() => provider.dispose());
afterAll(() => server.stop());

async function prepare(config: ProviderOptions["config"] = {}): Promise<void> {
  provider = await prepareProvider({ openbao: server, names, issuer, config });
}

function edit(change: (text: string) => string): void {
  writeFileSync(provider.configPath, change(readFileSync(provider.configPath, "utf8")));
}

const event = (name: string) => provider.log().find(({ message }) => message === name);

describe("a start that fails ends with its reason", () => {
  const runDir = (): string => `${provider.dir}/run`;
  const GRACE = { bootstrap: { graceTimeout: "300ms", retryInterval: "50ms" } };
  const failures: readonly (readonly [what: string, damage: () => void, code: string, exit: number])[] = [
    ["directory of another mode", () => chmodSync(runDir(), 0o755), "directory_wrong_mode", 4],
    ["no directory", () => rmSync(runDir(), { recursive: true }), "directory_missing", 4],
    ["a directory above for all", () => chmodSync(provider.dir, 0o777), "ancestor_writable", 4],
    ["a symbolic link", () => symlinkSync("/dev/null", provider.socketPath), "socket_occupied", 4],
    ["a directory at the socket", () => mkdirSync(provider.socketPath), "socket_occupied", 4],
    [
      "an unknown group",
      () => edit((text) => text.replace(/(socketGroup: ).*/, "$1none-such")),
      "group_unknown",
      3,
    ],
    ["a bad CA", () => provider.writeCa("none"), "ca_invalid", 3],
    ["another program's registry", () => writeFileSync(provider.statePath, "{}"), "registry_foreign", 4],
    ["no JWT", () => rmSync(`${provider.dir}/identity.jwt`), "file_missing", 4],
    [
      "an old JWT",
      () => provider.writeJwt(issuer.sign(identityClaims(names, Date.now() - 7_200_000))),
      "jwt_expired",
      4,
    ],
    ["an unknown role", () => edit((text) => text.replace("role: kms", "role: no")), "login_role_missing", 4],
    [
      "another name",
      () => edit((text) => text.replace(": localhost", ": other.test")),
      "tls_name_mismatch",
      3,
    ],
    ["an unknown key", () => edit((text) => text.replace("keyName: ", "keyName: x")), "permission_denied", 4],
  ];
  test.each(failures)("%s", async (_, damage, code, exit) => {
    await prepare(GRACE);
    damage();
    provider.spawn();
    await eventually("it has ended", async () => provider.exited(), PATIENCE);
    const failed = event("provider.failed");
    expect(failed).toMatchObject({ level: "error", code });
    expect(provider.exitCode()).toBe(exit);
    expect(provider.output().trimEnd().split("\n").at(-1)).toBe(
      `error: ${String(failed?.["reason"])}; fix: ${String(failed?.["advice"])}; see: /usr/share/doc/bao-kms-provider/troubleshooting.md#${String(failed?.["error_class"])}`,
    );
  });
});

/** Waits for a line of the log, among those after the first `since`. */
async function told(what: string, since: number, holds: (line: LogLine) => boolean): Promise<void> {
  await eventually(what, async () => provider.log().slice(since).some(holds), PATIENCE);
}

test("SIGHUP takes over the level, refuses a bad file and a bad CA, and serves on", async () => {
  await prepare({ logging: { level: "info" } });
  await provider.start();
  const hangUp = async (name: string, level: string, detail: string): Promise<void> => {
    const before = provider.log().length;
    provider.signal("SIGHUP");
    await told(
      `${name} ${detail}`,
      before,
      (line) =>
        line.message === name && line.level === level && [line["state"], line["code"]].includes(detail),
    );
  };
  edit((text) => text.replace("level: info", "level: debug"));
  await hangUp("config.reloaded", "info", "debug");
  await told("a line at debug", 0, ({ level }) => level === "debug");
  edit((text) => text.replace("level: debug", "level: loud"));
  await hangUp("config.reloaded", "error", "config_refused");
  provider.writeCa("none");
  await hangUp("tls.ca_reloaded", "error", "ca_invalid");
  expect((await provider.client.encrypt(new Uint8Array(32))).keyId).toStartWith("obk2.");
});

test("debug correlation names its incident, and ends by itself", async () => {
  const debugCorrelation = { enabled: true, ttl: "1s", incidentId: "INC-7" };
  await prepare({ logging: { level: "debug", debugCorrelation } });
  await provider.start();
  expect(event("debug_correlation.started")).toMatchObject({ debug_correlation_incident: "INC-7" });
  await told("its end", 0, ({ message }) => message === "debug_correlation.ended");
  const before = provider.log().length;
  await provider.client.encrypt(new Uint8Array(32));
  await told("the call", before, (line) => line["operation"] === "encrypt");
  expect(JSON.stringify(provider.log().slice(before))).not.toContain("request_uid_hash");
});
