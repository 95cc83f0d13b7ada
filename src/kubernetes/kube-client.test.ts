import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { makeTestCa, type TestCa } from "../../test/fakes/tls/test-ca.ts";
import { systemClock } from "../base/clock.ts";
import { Secret } from "../base/secret.ts";
import { credentialHolder } from "./credential.ts";
import { kubeClient } from "./kube-client.ts";

let ca: TestCa;
let server: Bun.Server<undefined>;
/** What the server answers next, by status; 200 when empty. */
let statuses: number[] = [];
/** The body of every answer to a good credential. */
let body = "{}";
const valid = "t1";
const seen: string[] = [];
let retryAfter: string | undefined;
/** Pauses between calls. */
const pauses: number[] = [];
const clock = {
  ...systemClock,
  sleep: async (ms: number, signal?: AbortSignal) => {
    signal?.throwIfAborted();
    pauses.push(ms);
  },
};

beforeAll(async () => {
  ca = await makeTestCa();
  const leaf = await ca.server();
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: leaf.chainPem, key: leaf.keyPem },
    fetch: (request) => {
      const token = request.headers.get("authorization") ?? "";
      seen.push(`${request.method} ${token} ${request.headers.get("content-type") ?? ""}`);
      return token === `Bearer ${valid}`
        ? new Response(body, {
            status: statuses.shift() ?? 200,
            ...(retryAfter === undefined ? {} : { headers: { "retry-after": retryAfter } }),
          })
        : new Response("{}", { status: 401 });
    },
  });
});
afterAll(() => server.stop(true));

function client(...tokens: readonly string[]) {
  let made = 0;
  statuses = [];
  seen.splice(0);
  pauses.splice(0);
  return kubeClient({
    address: `https://127.0.0.1:${server.port}`,
    serverName: "localhost",
    caPem: ca.certPem,
    credentials: credentialHolder(() => {
      const token = tokens[Math.min(made, tokens.length - 1)] ?? "";
      made += 1;
      return Promise.resolve({ token: new Secret(token) });
    }),
    clock,
  });
}

const get = {
  method: "GET",
  path: "/api",
  accept: "application/json",
  signal: new AbortController().signal,
} as const;

async function outcome(attempt: Promise<{ readonly status: number }>): Promise<unknown> {
  try {
    return (await attempt).status;
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
}

describe("the pause before the next attempt", () => {
  const pausesOf = async (asked?: string): Promise<readonly number[]> => {
    const kube = client(valid);
    retryAfter = asked;
    statuses = [429, 500, 502, 503, 504];
    try {
      expect(await outcome(kube.call(get))).toBe(200);
    } finally {
      retryAfter = undefined;
      kube.close();
    }
    return [...pauses];
  };

  test("doubles", async () => {
    expect(await pausesOf()).toEqual([500, 1000, 2000, 4000, 8000]);
  });

  test.each<[string, readonly number[]]>([
    ["3", [3000, 3000, 3000, 4000, 8000]],
    ["999", [15_000, 15_000, 15_000, 15_000, 15_000]],
    ["1000", [500, 1000, 2000, 4000, 8000]],
    ["Wed, 21 Oct 2026 07:28:00 GMT", [500, 1000, 2000, 4000, 8000]],
    ["3s", [500, 1000, 2000, 4000, 8000]],
  ])("Retry-After: %s", async (asked, expected) => {
    expect(await pausesOf(asked)).toEqual([...expected]);
  });
});

describe("a server that is not there", () => {
  const away = () =>
    kubeClient({
      address: "https://127.0.0.1:1",
      serverName: "localhost",
      caPem: ca.certPem,
      credentials: credentialHolder(() => Promise.resolve({ token: new Secret(valid) })),
      clock,
    });

  test("is asked six times", async () => {
    pauses.splice(0);
    expect(await outcome(away().call(get))).toBe("connect_refused");
    expect(pauses).toEqual([500, 1000, 2000, 4000, 8000]);
  });

  test("is not asked again after an abort, whose reason is thrown", async () => {
    pauses.splice(0);
    const signal = AbortSignal.abort(new Error("stopped"));
    await expect(away().call({ ...get, signal })).rejects.toThrow("stopped");
    expect(pauses).toEqual([]);
  });
});

test("an answer has 4 MiB at most", async () => {
  const kube = client(valid);
  body = "x".repeat(4 * 1024 * 1024);
  expect(await outcome(kube.call(get))).toBe(200);
  body += "x";
  expect(await outcome(kube.call(get))).toBe("body_too_large");
  body = "{}";
  kube.close();
});

describe("what is forbidden is named by verb and resource", () => {
  test.each([
    ["GET", "/api/v1/namespaces/team/secrets/db", " does not allow get on secrets"],
    ["PATCH", "/api/v1/nodes/n", " does not allow patch on nodes"],
    ["PATCH", "/apis/apps/v1/namespaces/team/deployments/web", " does not allow patch on deployments"],
    [
      "POST",
      "/apis/storagemigration.k8s.io/v1/storageversionmigrations",
      " create on storageversionmigrations",
    ],
    ["GET", "/apis/storagemigration.k8s.io", " does not allow get"],
  ] as const)("%s %s", async (method, path, end) => {
    const kube = client(valid);
    statuses = [403];
    const failed = await kube.call({ ...get, method, path }).catch((error: unknown) => error);
    kube.close();
    expect(failed).toMatchObject({
      code: "kube_denied",
      message: expect.stringMatching(new RegExp(`${end}$`)),
    });
  });

  test("a credential that is refused is said to be so", async () => {
    const kube = client("old");
    const failed = await kube.call(get).catch((error: unknown) => error);
    kube.close();
    expect(failed).toMatchObject({ code: "kube_denied", message: expect.stringContaining("credential") });
  });
});

describe("one call", () => {
  test("carries the credential, and a patch its type", async () => {
    const kube = client("t1");
    expect(await outcome(kube.call({ ...get, method: "PATCH", body: "{}" }))).toBe(200);
    expect(await outcome(kube.call({ ...get, method: "POST", body: "{}" }))).toBe(200);
    expect(await outcome(kube.call(get))).toBe(200);
    expect(seen).toEqual([
      "PATCH Bearer t1 application/merge-patch+json",
      "POST Bearer t1 application/json",
      "GET Bearer t1 ",
    ]);
    kube.close();
  });

  test.each<[string, number[], unknown, number]>([
    ["an answer is an answer", [404], 404, 1],
    ["a busy server is asked again", [429, 503, 500], 200, 4],
    ["for as long as there is hope", [503, 503, 503, 503, 503, 503], "kube_unavailable", 6],
    ["what is forbidden is not", [403], "kube_denied", 1],
  ])("%s", async (_, answers, expected, calls) => {
    const kube = client("t1");
    statuses = answers;
    expect(await outcome(kube.call(get))).toBe(expected);
    expect(seen).toHaveLength(calls);
    kube.close();
  });

  test("a credential that has expired is made again, once", async () => {
    const kube = client("old", "t1");
    expect(await outcome(kube.call(get))).toBe(200);
    expect(await outcome(kube.call(get))).toBe(200);
    expect(seen.map((each) => each.split(" ")[2])).toEqual(["old", "t1", "t1"]);
    kube.close();
  });

  test("a credential that is never taken ends it", async () => {
    const kube = client("old");
    expect(await outcome(kube.call(get))).toBe("kube_denied");
    expect(seen).toHaveLength(2);
    kube.close();
  });

  test("calls that are refused together share the fresh one", async () => {
    const kube = client("old", "t1", "t3");
    expect(await Promise.all([1, 2, 3].map(() => outcome(kube.call(get))))).toEqual([200, 200, 200]);
    expect(seen.filter((each) => each.includes("t3"))).toEqual([]);
    kube.close();
  });

  test("another server's certificate is not taken", async () => {
    const stranger = await makeTestCa();
    const kube = kubeClient({
      address: `https://127.0.0.1:${server.port}`,
      serverName: "localhost",
      caPem: stranger.certPem,
      credentials: credentialHolder(() => Promise.resolve({ token: new Secret("t1") })),
      clock: { ...systemClock, sleep: () => Promise.resolve() },
    });
    seen.splice(0);
    expect(await outcome(kube.call(get))).toBe("tls_untrusted");
    expect(seen).toEqual([]);
    kube.close();
  });
});

test("a dead admission webhook is named with the object, and nothing else of the answer", async () => {
  const kube = client(valid);
  statuses = Array.from({ length: 6 }, () => 500);
  body = JSON.stringify({
    message:
      'Internal error occurred: failed calling webhook "deny.example.com": Post "https://CANARY": refused',
  });
  const path = "/api/v1/namespaces/team/secrets/db";
  const failed = await kube
    .call({ ...get, method: "PATCH", path: `${path}?fieldManager=x` })
    .catch((error: unknown) => error);
  body = "{}";
  expect(failed).toMatchObject({ code: "webhook_failed" });
  expect(String(failed)).toContain("deny.example.com");
  expect(String(failed)).toContain(path);
  expect(String(failed)).not.toContain("CANARY");
  expect(String(failed)).not.toContain("fieldManager");
});
