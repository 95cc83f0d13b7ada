/**
 * @module A SPIFFE agent's Workload API on a Unix socket, made from the public proto. SPIRE itself is not part of the tests:
 * this serves what the standard describes, JWT-SVIDs of one trust domain, to any caller that sends the security header.
 */
import { rmSync } from "node:fs";
import { createServer } from "node:http2";
import type { Socket } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { SpiffeWorkloadAPI } from "../../../src/openbao/auth/gen/spiffe/workload_pb.ts";
import { type JwtIssuer, makeJwtIssuer } from "../openbao/jwt-issuer.ts";

export type Failure = Code | "hang" | "hang_up" | "foreign_identity" | "foreign_claims" | "none";

export async function serveWorkloadApi(socketPath: string, spiffeId: string, lifetimeSeconds = 300) {
  let issuer: JwtIssuer = makeJwtIssuer();
  let failure: Failure | undefined;
  const sockets = new Set<Socket>();
  const hangUp = (): void => {
    for (const socket of sockets) {
      socket.destroy();
    }
  };
  const svid = (id: string, audience: readonly string[]): string => {
    const now = Math.floor(Date.now() / 1000);
    return issuer.sign({ sub: id, aud: audience, iat: now, exp: now + lifetimeSeconds });
  };
  const server = createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(SpiffeWorkloadAPI, {
          fetchJWTSVID: async ({ audience, spiffeId: asked }, context) => {
            if (context.requestHeader.get("workload.spiffe.io") !== "true") {
              throw new ConnectError("security header missing", Code.InvalidArgument);
            }
            if (typeof failure === "number") {
              throw new ConnectError("no identity issued", failure);
            }
            if (failure === "hang") {
              await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
            }
            if (failure === "hang_up") {
              hangUp();
            }
            const other = "spiffe://elsewhere.test/x";
            if (failure === "none" || (asked !== "" && asked !== spiffeId)) {
              return { svids: [] };
            }
            const said = failure === "foreign_identity" ? other : spiffeId;
            return {
              svids: [{ spiffeId: said, svid: svid(failure === "foreign_claims" ? other : said, audience) }],
            };
          },
        }),
    }),
  );
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    socketPath,
    /** The key behind its JWT-SVIDs; `rotate` changes it. */
    publicKeyPem: () => issuer.publicKeyPem,
    rotate: () => {
      issuer = makeJwtIssuer();
    },
    /** What the next calls get instead of an SVID. */
    fail: (how: Failure | undefined) => {
      failure = how;
    },
    stop: async () => {
      hangUp();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(socketPath, { force: true });
    },
  };
}

export type WorkloadApi = Awaited<ReturnType<typeof serveWorkloadApi>>;
