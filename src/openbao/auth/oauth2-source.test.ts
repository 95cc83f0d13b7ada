import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AuthorizationServer,
  startAuthorizationServer,
} from "../../../test/fakes/oauth2/authorization-server.ts";
import { makeTestCa } from "../../../test/fakes/tls/test-ca.ts";
import { systemClock } from "../../base/clock.ts";
import { ProviderError } from "../../base/error-class.ts";
import { openCaFile } from "../../http/ca-file.ts";
import { createHttpTransport, type HttpRequest, type HttpTransport } from "../../http/https.ts";
import { decodeJwtClaims } from "./jwt-claims.ts";
import { type ClientAuthMethod, type OAuth2SourceOptions, oauth2Source } from "./oauth2-source.ts";

const CLIENT = { clientId: "kms provider:1", clientSecret: "s3cret/with+signs:%&=" };
const RESOURCE = "https://openbao.test";
const CA = await makeTestCa();

let dir: string;
const closers: (() => unknown)[] = [];
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "oauth2-"));
});
afterAll(async () => {
  await Promise.all(closers.map((close) => close()));
  rmSync(dir, { recursive: true });
});

async function source(
  server: Pick<AuthorizationServer, "tokenUrl" | "caPem">,
  options: Partial<OAuth2SourceOptions> & { readonly secret?: string } = {},
) {
  const serviceUid = process.getuid?.() ?? 0;
  writeFileSync(join(dir, "ca.pem"), server.caPem);
  writeFileSync(join(dir, "secret"), `${options.secret ?? CLIENT.clientSecret}\n`, { mode: 0o600 });
  const field = "auth.jwt.oauth2.caCertFile";
  const transport = createHttpTransport({
    names: {
      what: "the token endpoint",
      addressField: "auth.jwt.oauth2.tokenUrl",
      caField: field,
      serverNameField: "auth.jwt.oauth2.tokenUrl",
    },
    trust: await openCaFile({ path: join(dir, "ca.pem"), field, serviceUid }),
    serverName: "localhost",
    clock: systemClock,
  });
  closers.push(() => transport.close());
  return oauth2Source({
    transport,
    tokenUrl: server.tokenUrl,
    clientId: CLIENT.clientId,
    clientSecretFile: join(dir, "secret"),
    authMethod: "client_secret_basic",
    scopes: [],
    audience: "",
    resources: [RESOURCE],
    timeoutMs: 2000,
    serviceUid,
    clock: systemClock,
    ...options,
  });
}

async function authorizationServer(authMethod: ClientAuthMethod = "client_secret_basic") {
  const server = await startAuthorizationServer({ ...CLIENT, authMethod, resource: RESOURCE });
  closers.push(server.stop);
  return server;
}

const get = async (from: ReturnType<typeof source>) => (await from).get(new AbortController().signal);

async function failure(from: ReturnType<typeof source>): Promise<ProviderError> {
  const error: unknown = await get(from).catch((each: unknown) => each);
  if (!(error instanceof ProviderError)) {
    throw new TypeError(`not a ProviderError: ${Bun.inspect(error)}`);
  }
  expect(Bun.inspect(error)).not.toContain(CLIENT.clientSecret);
  return error;
}

describe("a real authorization server", () => {
  test.each<ClientAuthMethod>(["client_secret_basic", "client_secret_post"])(
    "gives a JWT by %s",
    async (authMethod) => {
      const server = await authorizationServer(authMethod);
      const reports: unknown[] = [];
      const token = await get(
        source(server, {
          authMethod,
          scopes: ["kms"],
          observer: (...report) => reports.push(report[0], report[2]),
        }),
      );
      expect(decodeJwtClaims(token.expose())).toMatchObject({
        claims: { issuer: server.issuer, audience: [RESOURCE] },
      });
      expect(reports).toEqual(["oauth2_token", undefined]);
    },
  );

  test("a secret that was changed in the file is used at once", async () => {
    const server = await authorizationServer();
    const from = source(server, { secret: "wrong" });
    expect(await failure(from)).toMatchObject({ code: "oauth2_invalid_client", errorClass: "auth_failed" });
    writeFileSync(join(dir, "secret"), CLIENT.clientSecret);
    expect((await get(from)).expose()).toMatch(/^ey/);
  });

  const refusals: readonly [string, Partial<OAuth2SourceOptions>, string][] = [
    ["another client", { clientId: "other" }, "oauth2_invalid_client"],
    ["a foreign resource", { resources: ["https://other.test"] }, "oauth2_invalid_target"],
  ];
  test.each(refusals)("%s is refused with its own code", async (_, options, code) => {
    const server = await authorizationServer();
    expect(await failure(source(server, options))).toMatchObject({ code });
  });
});

describe("the request", () => {
  /** A source whose endpoint gives this answer, the requests that it gets, and the answer's bytes. */
  async function scripted(answer: string | Error, options: Partial<OAuth2SourceOptions> = {}) {
    const requests: HttpRequest[] = [];
    const body = new TextEncoder().encode(String(answer));
    const transport: HttpTransport = {
      request: async (request) => {
        requests.push(request);
        if (answer instanceof Error) {
          throw answer;
        }
        return { status: 200, headers: new Headers(), body };
      },
      reloadTrust: async () => false,
      close: () => {},
    };
    const from = source(
      { tokenUrl: "https://localhost/token", caPem: CA.certPem },
      { ...options, transport },
    );
    return { from, requests, body };
  }
  const TOKEN = '{"access_token":"a.b.c","token_type":"bearer"}';
  const fieldsOf = async (options: Partial<OAuth2SourceOptions>) => {
    const { from, requests } = await scripted(TOKEN, options);
    await get(from);
    return [...new URLSearchParams(requests[0]?.body)];
  };

  test("names scopes, audience and resources, and those only that are configured", async () => {
    const grant: [string, string] = ["grant_type", "client_credentials"];
    expect(await fieldsOf({ resources: [] })).toEqual([grant]);
    expect(
      await fieldsOf({ scopes: ["a", "b"], audience: "openbao", resources: ["https://x", "https://y"] }),
    ).toEqual([
      grant,
      ["scope", "a b"],
      ["audience", "openbao"],
      ["resource", "https://x"],
      ["resource", "https://y"],
    ]);
  });

  test("bounds the answer, whose bytes are zeroed", async () => {
    const { from, requests, body } = await scripted(TOKEN);
    expect((await get(from)).expose()).toBe("a.b.c");
    expect(requests.map(({ maxBytes }) => maxBytes)).toEqual([65_536]);
    expect(body.every((byte) => byte === 0)).toBe(true);
  });

  test("that fails is reported once, with an error of another kind as it is", async () => {
    const reports: unknown[] = [];
    const bug = new TypeError("bug");
    const { from } = await scripted(bug, { observer: (...report) => reports.push(report[0], report[2]) });
    expect(await get(from).catch((error: unknown) => error)).toBe(bug);
    expect(reports).toEqual(["oauth2_token", bug]);
  });

  test("makes a token for each login, so that none is stored", async () => {
    expect((await (await scripted(TOKEN)).from).isStored).toBe(false);
  });

  test("takes a client secret of at most 4096 bytes and a line break", async () => {
    const { from } = await scripted(TOKEN);
    writeFileSync(join(dir, "secret"), `${"s".repeat(4096)}\r\n`);
    expect((await get(from)).expose()).toBe("a.b.c");
    writeFileSync(join(dir, "secret"), `${"s".repeat(4097)}\r\n`);
    expect(await failure(from)).toMatchObject({ code: "file_too_large" });
  });
});

describe("an endpoint that is none, slow or hostile", () => {
  const answering = async (listener: RequestListener) => {
    const ca = await makeTestCa();
    const leaf = await ca.server();
    const server = createServer({ key: leaf.keyPem, cert: leaf.chainPem }, listener);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    closers.push(
      () => server.closeAllConnections(),
      () => server.close(),
    );
    const address = server.address();
    const port = address === null || typeof address === "string" ? 0 : address.port;
    return { tokenUrl: `https://localhost:${port}/token`, caPem: ca.certPem };
  };
  const saying = (status: number, body: string) =>
    answering((request, response) => {
      request.resume();
      response.writeHead(status, { "content-type": "application/json" }).end(body);
    });
  const cases: readonly [string, () => ReturnType<typeof answering>, string][] = [
    ["500", () => saying(500, '{"error":"invalid_client"}'), "oauth2_unavailable"],
    ["429", () => saying(429, ""), "oauth2_rate_limited"],
    ["400 of another kind", () => saying(400, "<html>"), "oauth2_refused"],
    ["an unknown error code", () => saying(400, '{"error":"__proto__"}'), "oauth2_refused"],
    ["a scope too many", () => saying(400, '{"error":"invalid_scope"}'), "oauth2_invalid_scope"],
    ["401 without a code", () => saying(401, ""), "oauth2_invalid_client"],
    [
      "grant not supported",
      () => saying(400, '{"error":"unsupported_grant_type"}'),
      "oauth2_unsupported_grant_type",
    ],
    ["200 without a token", () => saying(200, '{"token_type":"Bearer"}'), "oauth2_reply_malformed"],
    ["a MAC token", () => saying(200, '{"access_token":"x","token_type":"mac"}'), "oauth2_reply_malformed"],
    [
      "a token with a line break",
      () => saying(200, '{"access_token":"a\\nb","token_type":"Bearer"}'),
      "oauth2_reply_malformed",
    ],
    ["a huge answer", () => saying(200, `{"x":"${"a".repeat(70_000)}"}`), "oauth2_unreachable"],
    ["silence", () => answering(() => {}), "oauth2_unreachable"],
    [
      "a redirect",
      () => answering((_, response) => response.writeHead(302, { location: "https://x/" }).end()),
      "oauth2_unreachable",
    ],
  ];
  test.each(cases)("%s", async (_, server, code) => {
    const error = await failure(source(await server(), { timeoutMs: 200 }));
    expect(error.code).toBe(code);
  });

  test("a certificate of another CA", async () => {
    const server = await saying(200, "{}");
    const { certPem } = await makeTestCa();
    const error = await failure(source({ ...server, caPem: certPem }));
    expect(error).toMatchObject({ code: "oauth2_unreachable", errorClass: "openbao_unavailable" });
    expect(error.advice).toContain("auth.jwt.oauth2.caCertFile");
  });
});
