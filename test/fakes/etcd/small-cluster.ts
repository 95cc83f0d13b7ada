/**
 * @module An etcd and the kube-apiserver above it, on loopback ports, for tests of the commands that read and rewrite stored
 * objects. etcd answers reads over gRPC; kube-apiserver answers discovery and empty patches, and stores what the test says.
 */
import { createServer as createHttp2Server } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import type { Server, Socket } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { KV, Maintenance } from "../../../src/etcd/gen/etcd/rpc_pb.ts";
import { makeTestCa } from "../tls/test-ca.ts";
import { member } from "./members.ts";

const MIGRATIONS = "/apis/storagemigration.k8s.io/v1/storageversionmigrations";

export async function openSmallCluster() {
  const objects = new Map<string, { readonly value: Uint8Array; readonly modRevision: bigint }>();
  let revision = 1n;
  /** Method and path of each call to kube-apiserver. */
  const calls: string[] = [];
  const sockets = new Set<Socket>();
  const never = new AbortController().signal;
  const listen = async (server: Server): Promise<number> => {
    server.on("connection", (socket) => {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.once("close", () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    return address === null || typeof address === "string" ? 0 : address.port;
  };

  const now = () =>
    member([...objects].map(([key, { value, modRevision }]) => ({ key, value, modRevision })));
  const routes = connectNodeAdapter({
    routes: (router) => {
      router.service(KV, {
        range: ({ key, rangeEnd, limit, revision: at }) =>
          now().range({ key, rangeEnd, limit: Number(limit), revision: at }, never),
      });
      router.service(Maintenance, { status: () => now().status(never) });
    },
  });
  const etcdServer = createHttp2Server(routes);
  const etcdPort = await listen(etcdServer);

  /** What the tests change. */
  const api: {
    /** Stores what a patch of this key leaves behind, and gives its status. */
    patch: (key: string) => number;
    /** The `items` of the EndpointSlices of the Service `kubernetes`. */
    slices: readonly unknown[];
    /** The state of every StorageVersionMigration; absent, none is offered. */
    migration: string | undefined;
  } = { patch: () => 200, slices: [], migration: undefined };
  const answer = (method: string, path: string, body: string): readonly [number, unknown] => {
    const [, namespace, plural, name] =
      /^\/api\/v1\/namespaces\/([^/?]+)\/([^/?]+)\/([^/?]+)/.exec(path) ?? [];
    const key = `/registry/${plural}/${namespace}/${name}`;
    if (name !== undefined) {
      const resourceVersion = String(objects.get(key)?.modRevision);
      return !objects.has(key)
        ? [404, {}]
        : method === "GET"
          ? [200, { metadata: { resourceVersion } }]
          : JSON.parse(body).metadata.resourceVersion === resourceVersion
            ? [api.patch(key), {}]
            : [409, {}];
    }
    if (path.startsWith("/apis/discovery.k8s.io/")) {
      return [200, { items: api.slices }];
    }
    if (path === "/api/v1") {
      const resources = ["secrets", "configmaps"].map((each) => ({
        name: each,
        namespaced: true,
        verbs: ["patch"],
      }));
      return [200, { resources }];
    }
    if (api.migration === undefined || !path.startsWith("/apis/storagemigration.k8s.io")) {
      return [404, {}];
    }
    const offered = { groupVersion: "storagemigration.k8s.io/v1" };
    return !path.startsWith(MIGRATIONS)
      ? [200, { preferredVersion: offered, versions: [offered] }]
      : method === "POST"
        ? [201, { metadata: { name: `m-${JSON.parse(body).spec.resource.resource}` } }]
        : [200, { status: { conditions: [{ type: api.migration, status: "True" }] } }];
  };
  const ca = await makeTestCa();
  const leaf = await ca.server();
  const apiServer = createHttpsServer({ cert: leaf.chainPem, key: leaf.keyPem }, (request, response) => {
    const { method = "", url = "" } = request;
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      calls.push(`${method} ${url}`);
      const [status, value] = answer(method, url, body);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    });
  });
  // Only a client ends its connection.
  apiServer.keepAliveTimeout = 0;
  const apiUrl = `https://127.0.0.1:${await listen(apiServer)}`;

  return {
    etcdUrl: `http://127.0.0.1:${etcdPort}`,
    apiUrl,
    /** A kubeconfig with a token. */
    kubeconfig: JSON.stringify({
      "current-context": "c",
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
      clusters: [
        {
          name: "c",
          cluster: {
            server: apiUrl,
            "tls-server-name": "localhost",
            "certificate-authority-data": Buffer.from(ca.certPem).toString("base64"),
          },
        },
      ],
      users: [{ name: "u", user: { token: "t" } }],
    }),
    store: (key: string, value: Uint8Array | undefined) => {
      revision += 1n;
      if (value === undefined) {
        objects.delete(key);
      } else {
        objects.set(key, { value, modRevision: revision });
      }
    },
    calls,
    api,
    /** Resolves when no client has a connection. */
    disconnected: async () => {
      await Promise.all(
        [...sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve))),
      );
    },
    close: () => {
      for (const socket of sockets) {
        socket.destroy();
      }
      etcdServer.close();
      apiServer.close();
    },
  };
}

export type SmallCluster = Awaited<ReturnType<typeof openSmallCluster>>;
