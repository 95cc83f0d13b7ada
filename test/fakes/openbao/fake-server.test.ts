import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { fakeFetch } from "./fake-fetch.ts";
import { type FakeOpenBao, makeFakeOpenBao } from "./fake-openbao.ts";
import { type FakeServer, serveFakeOpenBao } from "./fake-server.ts";
import { type Fault, faults } from "./faults.ts";
import { operator } from "./operator.ts";

let openbao: FakeOpenBao;
let server: FakeServer;
beforeAll(async () => {
  openbao = makeFakeOpenBao();
  server = await serveFakeOpenBao(openbao);
  const root = operator(server, openbao.rootToken);
  await root.must("POST", "sys/mounts/transit", { type: "transit" });
  await root.must("POST", "transit/keys/k", {});
});
afterAll(() => server.stop());

type Get = (init: RequestInit) => Promise<Response>;
const headers = { "x-vault-token": "root" };
const inProcess: Get = (init) =>
  fakeFetch(openbao)("https://anything/v1/transit/keys/k", { ...init, headers });
const overTls: Get = (init) =>
  fetch(`${server.address}/v1/transit/keys/k`, {
    ...init,
    headers,
    tls: { ca: server.caPem, rejectUnauthorized: true },
  });

const withFault = async <T>(fault: Fault, work: () => Promise<T>): Promise<T> => {
  const remove = openbao.inject(fault, { path: /^transit\// });
  try {
    return await work();
  } finally {
    remove();
  }
};

const parses = (fault: Fault, get: Get): Promise<boolean> =>
  withFault(fault, async () => JSON.parse(await (await get({})).text())).then(
    () => true,
    () => false,
  );
const answers = (fault: Fault, get: Get): Promise<boolean> =>
  withFault(fault, async () => (await get({ signal: AbortSignal.timeout(50) })).text()).then(
    () => true,
    () => false,
  );

describe.each([
  ["fetch", inProcess],
  ["TLS server", overTls],
])("faults through the %s", (_, get) => {
  test("none", async () => {
    const reply = await get({});
    expect(reply.status).toBe(200);
    expect(reply.headers.get("date")).not.toBeNull();
  });
  test.each([
    ["sealed", faults.sealed, 503],
    ["denied", faults.denied, 403],
    ["internal error", faults.internalError, 500],
    ["rate limited", faults.rateLimited("7"), 429],
    ["redirect", faults.redirect("https://elsewhere/"), 307],
  ])("%s", async (_name, fault, status) => {
    const reply = await withFault(fault, () => get({ redirect: "manual" }));
    expect(reply.status).toBe(status);
    expect(reply.headers.get("retry-after")).toBe(status === 429 ? "7" : null);
  });
  test.each([
    ["malformed", faults.malformed],
    ["cut", faults.cutJson],
  ])("%s gives no JSON", async (_name, fault) => {
    expect(await parses(fault, get)).toBe(false);
  });
  test("oversized", async () => {
    expect((await (await withFault(faults.oversized(2 << 20), () => get({}))).text()).length).toBeGreaterThan(
      2 << 20,
    );
  });
  test("hang keeps the caller waiting until it gives up", async () => {
    expect(await answers(faults.hang, get)).toBe(false);
  });
});

describe("faults of the connection, through the TLS server", () => {
  test.each([
    ["torn", faults.torn],
    ["reset", faults.reset],
  ])("%s gives no JSON", async (_name, fault) => {
    expect(await parses(fault, overTls)).toBe(false);
  });
  test("slow keeps the caller waiting until it gives up", async () => {
    expect(await answers(faults.slow(10), overTls)).toBe(false);
  });
});

test("a fault ends after so many calls and stays on its path", async () => {
  openbao.inject(faults.denied, { path: /keys/, times: 1 });
  const root = operator(server, openbao.rootToken);
  expect((await root.call("GET", "sys/health")).status).toBe(200);
  expect((await root.call("GET", "transit/keys/k")).status).toBe(403);
  expect((await root.call("GET", "transit/keys/k")).status).toBe(200);
});

test("a lagging standby answers from yesterday until it catches up", async () => {
  const standby = openbao.standby();
  const latest = () =>
    standby.handle({
      method: "GET",
      target: "/v1/transit/keys/k",
      headers: { "x-vault-token": "root" },
      body: "",
    }).reply.body?.["data"];
  standby.lag();
  await operator(server, openbao.rootToken).must("POST", "transit/keys/k/rotate", {});
  expect(latest()).toMatchObject({ latest_version: 1 });
  standby.catchUp();
  expect(latest()).toMatchObject({ latest_version: 2 });
});

test("the server comes back on its port", async () => {
  const second = await serveFakeOpenBao(openbao);
  await second.stop();
  const again = await serveFakeOpenBao(openbao, { port: second.port, tls: second.tls });
  expect((await operator(again, openbao.rootToken).call("GET", "sys/health")).status).toBe(200);
  await again.stop();
});
