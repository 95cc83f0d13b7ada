/**
 * @module A real authorization server (oidc-provider) behind TLS on a loopback port. Clients with the client-credentials
 * grant, and JWT access tokens (RFC 9068) for the resources that it knows.
 */
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:https";
import { errors, Provider } from "oidc-provider";
import { type Leaf, makeTestCa } from "../tls/test-ca.ts";

export interface AuthorizationServerOptions {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly authMethod: "client_secret_basic" | "client_secret_post";
  /** The only resource that it issues tokens for; their `aud`. */
  readonly resource: string;
  readonly lifetimeSeconds?: number;
  /** Any free one when absent. */
  readonly port?: number;
  readonly tls?: { readonly caPem: string; readonly leaf: Leaf };
}

export async function startAuthorizationServer(options: AuthorizationServerOptions) {
  const ca = options.tls === undefined ? await makeTestCa({ commonName: "issuer CA" }) : undefined;
  const tls = options.tls ?? { caPem: ca?.certPem ?? "", leaf: (await ca?.server()) ?? missingLeaf() };
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = "https://issuer.test";
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: options.clientId,
        client_secret: options.clientSecret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: options.authMethod,
        id_token_signed_response_alg: "ES256",
        scope: "kms",
      },
    ],
    scopes: ["kms"],
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "test", use: "sig", alg: "ES256" }] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => options.resource,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context: unknown, resource: string) => {
          if (resource !== options.resource) {
            throw new errors.InvalidTarget();
          }
          return {
            scope: "kms",
            audience: options.resource,
            accessTokenFormat: "jwt",
            accessTokenTTL: options.lifetimeSeconds ?? 600,
            jwt: { sign: { alg: "ES256" } },
          };
        },
      },
    },
  });
  const server = createServer({ key: tls.leaf.keyPem, cert: tls.leaf.chainPem }, provider.callback());
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new Error("the server has no port");
  }
  return {
    issuer,
    tokenUrl: `https://localhost:${address.port}/token`,
    port: address.port,
    tls,
    caPem: tls.caPem,
    /** The key that OpenBao must trust. */
    publicKeyPem: publicKey.export({ type: "spki", format: "pem" }),
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export type AuthorizationServer = Awaited<ReturnType<typeof startAuthorizationServer>>;

function missingLeaf(): never {
  throw new Error("no certificate");
}
