/** @module A JWT-SVID from the SPIFFE Workload API (github.com/spiffe/spiffe, standards/SPIFFE_Workload_API.md). */
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import type { Clock } from "../../base/clock.ts";
import { type Meaning, meaningFor } from "../../base/error-class.ts";
import { Secret } from "../../base/secret.ts";
import { unixGrpc } from "../../http/unix-grpc.ts";
import { type AuthCodeOf, AuthError } from "./errors.ts";
import { type JWTSVID, SpiffeWorkloadAPI } from "./gen/spiffe/workload_pb.ts";
import { decodeJwtClaims } from "./jwt-claims.ts";
import { type CredentialObserver, type JwtSource, observed } from "./jwt-method.ts";

export interface SpiffeSourceOptions {
  /** The agent's Unix socket. */
  readonly socketPath: string;
  readonly audience: string;
  /** The whole identity, trust domain and path: `spiffe://example.org/openbao-kms`. */
  readonly spiffeId: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly observer?: CredentialObserver;
}

const MAX_MESSAGE_BYTES = 65_536;
/** The agent refuses a request without it, so that a browser cannot be made to ask. */
const SECURITY_HEADER = { "workload.spiffe.io": "true" } as const;

export function spiffeSource(options: SpiffeSourceOptions): JwtSource {
  const { socketPath, audience, spiffeId, timeoutMs } = options;

  const fetchSvid = async (signal: AbortSignal): Promise<Secret> => {
    const { transport, close } = unixGrpc(socketPath, MAX_MESSAGE_BYTES);
    try {
      const client = createClient(SpiffeWorkloadAPI, transport);
      const { svids } = await client.fetchJWTSVID(
        { audience: [audience], spiffeId },
        { headers: SECURITY_HEADER, timeoutMs, signal },
      );
      return pinned(svids, spiffeId, audience);
    } catch (error) {
      throw error instanceof AuthError ? error : spiffeError(codeOf(error), socketPath, error);
    } finally {
      close();
    }
  };

  return {
    what: "auth.jwt.spiffe: the JWT-SVID",
    isStored: false,
    fix: "check the registration entry of this node with: spire-server entry show -spiffeID SPIFFE_ID",
    get: (signal) => observed("spiffe_fetch", options, () => fetchSvid(signal)),
  };
}

/** The SVID of that identity for that audience, by what the agent says and by what the JWT itself says. */
function pinned(svids: readonly JWTSVID[], spiffeId: string, audience: string): Secret {
  const svid = svids.find((each) => each.spiffeId === spiffeId)?.svid;
  const decoded = svid === undefined ? undefined : decodeJwtClaims(svid);
  const claims = decoded?.ok === true ? decoded.claims : undefined;
  if (svid === undefined || claims?.subject !== spiffeId || !claims.audience.includes(audience)) {
    throw new AuthError({
      code: "spiffe_wrong_identity",
      errorClass: "auth_failed",
      message: `the SPIFFE agent issues no JWT-SVID for ${spiffeId} with the audience auth.jwt.spiffe.audience`,
      advice: `register the provider with this SPIFFE ID, or correct auth.jwt.spiffe.spiffeId; see: spire-server entry show -spiffeID ${spiffeId}`,
    });
  }
  return new Secret(svid);
}

const MEANINGS: Readonly<Record<Exclude<AuthCodeOf<"spiffe_">, "spiffe_wrong_identity">, Meaning>> = {
  spiffe_denied: {
    errorClass: "auth_failed",
    problem: "has no identity for this process",
    advice:
      "register it by its user or unit, for example with -selector unix:user:openbao-kms, and see the agent's log",
  },
  spiffe_refused: {
    errorClass: "auth_failed",
    problem: "rejects the request",
    advice: "check auth.jwt.spiffe.audience and spiffeId, and that the socket is the Workload API",
  },
  spiffe_unreachable: {
    errorClass: "openbao_unavailable",
    problem: "cannot be reached, or ended the connection",
    advice: "start it, and give the service access to its socket: systemctl status spire-agent",
  },
  spiffe_timeout: {
    errorClass: "timeout",
    problem: "did not answer in time",
    advice: "see the agent's log: journalctl -u spire-agent",
  },
};

function spiffeError(code: keyof typeof MEANINGS, socketPath: string, cause: unknown): AuthError {
  const { errorClass, problem, advice } = meaningFor(MEANINGS[code], socketPath);
  return new AuthError({
    code,
    errorClass,
    message: `auth.jwt.spiffe.socketPath: the SPIFFE agent at ${socketPath} ${problem}`,
    advice,
    cause,
  });
}

/** What a failed call tells about the agent. The Workload API answers PERMISSION_DENIED to whom it does not know. */
const BY_CODE: ReadonlyMap<Code, keyof typeof MEANINGS> = new Map<Code, keyof typeof MEANINGS>([
  [Code.PermissionDenied, "spiffe_denied"],
  [Code.Unauthenticated, "spiffe_denied"],
  [Code.DeadlineExceeded, "spiffe_timeout"],
  [Code.InvalidArgument, "spiffe_refused"],
  [Code.Unimplemented, "spiffe_refused"],
  [Code.ResourceExhausted, "spiffe_refused"],
  [Code.FailedPrecondition, "spiffe_refused"],
  [Code.NotFound, "spiffe_refused"],
]);

function codeOf(error: unknown): keyof typeof MEANINGS {
  return (error instanceof ConnectError ? BY_CODE.get(error.code) : undefined) ?? "spiffe_unreachable";
}
