/**
 * @module A control-plane node for tests of commands: a provider's files in a private directory, over the stand-in for
 * OpenBao. Everything that doctor finds in order, so that a test can spoil one thing. Commands run in this process.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../../src/cli/run.ts";
import { COMMANDS } from "../../src/commands/table.ts";
import { configFile, onOpenBao } from "./config-file.ts";
import { makeFakeOpenBao } from "./openbao/fake-openbao.ts";
import { serveFakeOpenBao } from "./openbao/fake-server.ts";
import { identityClaims, makeJwtIssuer } from "./openbao/jwt-issuer.ts";
import { operator } from "./openbao/operator.ts";
import { provision } from "./openbao/provision.ts";
import { recordedOutput } from "./recorded-output.ts";
import { makeSocketDirectory, socketGid } from "./socket-directory.ts";

export async function makeNodeFiles() {
  const directory = mkdtempSync(join(tmpdir(), "node-"));
  const at = (name: string): string => join(directory, name);
  const openbao = makeFakeOpenBao();
  const server = await serveFakeOpenBao(openbao);
  const issuer = makeJwtIssuer();
  const root = operator(server, openbao.rootToken);
  const names = await provision(root, issuer.publicKeyPem);
  const gid = socketGid();

  mkdirSync(at("state"), { mode: 0o750 });
  makeSocketDirectory(at("run"), gid);
  writeFileSync(at("ca.crt"), server.caPem, { mode: 0o644 });

  /** Writes a JWT whose claims differ from good ones; the token is returned. */
  const writeJwt = (claims: Readonly<Record<string, unknown>> = {}): string => {
    const jwt = issuer.sign({ ...identityClaims(names, Date.now()), ...claims });
    writeFileSync(at("identity.jwt"), jwt, { mode: 0o600 });
    return jwt;
  };
  /** Writes the configuration with changed fields. */
  const writeConfig = (change: NonNullable<Parameters<typeof configFile>[0]> = (fields) => fields): void => {
    const text = configFile((fields) => {
      const local = {
        ...onOpenBao(fields, { address: server.address, caCertFile: at("ca.crt") }, names),
        server: { ...fields.server, socketGroup: String(gid), socketPath: at("run/kms.sock") },
        auth: {
          jwt: { mountPath: `auth/${names.jwtMount}`, role: names.role, jwtFile: at("identity.jwt") },
        },
        state: { path: at("state/key-registry.json") },
      };
      return change(local);
    });
    writeFileSync(at("config.yaml"), text, { mode: 0o640 });
  };
  writeJwt();
  writeConfig();

  return {
    directory,
    at,
    configPath: at("config.yaml"),
    socketPath: at("run/kms.sock"),
    openbao,
    operator: root,
    names,
    writeJwt,
    writeConfig,
    /** Runs one command line in this process. */
    type: async (...words: readonly string[]) => {
      const output = recordedOutput();
      const context = {
        output,
        environment: {},
        callerEnvironment: {},
        signal: new AbortController().signal,
      };
      return { code: await run(words, context, COMMANDS), stdout: output.stdout(), stderr: output.stderr() };
    },
    dispose: async () => {
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export type NodeFiles = Awaited<ReturnType<typeof makeNodeFiles>>;
