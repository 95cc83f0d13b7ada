/** @module `openbao.tls`, `openbao.clock` and `openbao.auth`: from a connection to a token of doctor's own. */
import { formatDuration } from "../../../base/duration.ts";
import { countOf } from "../../../base/words.ts";
import { type CheckOutcome, failure, raised, warning } from "../../check.ts";
import { accessProblem } from "../../service-identity.ts";
import type { DoctorCheck } from "../context.ts";
import { accessOf } from "./credentials.ts";

/** A Date header is exact to the second, and an answer takes a moment. */
const DATE_ERROR_MS = 1500;
/** Below this, one bad day of restarts uses them up. */
const FEW_LOGINS = 10;

export const openbaoTls: DoctorCheck = {
  id: "openbao.tls",
  proves:
    "OpenBao is reached over TLS, its certificate is verified by caCertFile and tlsServerName, and it is unsealed.",
  needs: ["config.validate"],
  whenFailed: "curl --cacert CA https://OPENBAO/v1/sys/health",
  run: async (context, signal) => {
    const { openbao } = context.fact("loaded").config;
    const service = context.fact("service");
    const access = await accessOf(context);
    const beforeMs = context.options.wallMs();
    const { wallMs } = await access.health(signal);
    const middleMs = (beforeMs + context.options.wallMs()) / 2;
    context.learn("clockSkewMs", wallMs === undefined ? undefined : wallMs + 500 - middleMs);
    const blocked = accessProblem(openbao.caCertFile, "read", service);
    const inside = openbao.addresses.find((address) =>
      /\.svc(\.|:|$)|\.cluster\.local/.test(new URL(address).host),
    );
    const isClusterDns = /^\s*search\s.*\bsvc\.cluster\.local\b/m.test(context.options.resolverConfig);
    return {
      detail: `${openbao.addresses.join(", ")}${openbao.namespace === "" ? "" : `; \`bao\` commands below are meant with BAO_NAMESPACE=${openbao.namespace}`}`,
      findings: raised(
        blocked !== undefined &&
          failure("ca_unreadable", blocked, `chmod 0644 ${openbao.caCertFile}`, "config_invalid"),
        inside !== undefined &&
          warning(
            "openbao_circular",
            `${inside} is a name of a Service in a cluster: if it is this one, OpenBao cannot be reached before the API server is up, which waits for OpenBao`,
            "run OpenBao outside the cluster whose key it keeps, or use an address that works without it",
          ),
        isClusterDns &&
          warning(
            "dns_circular",
            "this machine resolves names through a cluster's DNS, which may be down when the key is needed",
            "let the provider's host use a DNS server outside the cluster, or put OpenBao into /etc/hosts",
          ),
      ),
    };
  },
};

export const openbaoClock: DoctorCheck = {
  id: "openbao.clock",
  proves: "This machine's clock and OpenBao's agree well enough for credentials to be valid on both.",
  needs: ["openbao.tls"],
  whenFailed: "timedatectl on both machines",
  run: (context) => {
    const skewMs = context.fact("clockSkewMs");
    if (skewMs === undefined) {
      return { skipped: "OpenBao's answer carried no Date" };
    }
    const { auth } = context.fact("loaded").config;
    const leewayMs =
      auth.method === "jwt"
        ? auth.jwt.clockSkewLeeway
        : auth.method === "cert"
          ? auth.cert.clockSkewLeeway
          : 30_000;
    return clockOutcome(skewMs, leewayMs);
  },
};

export function clockOutcome(skewMs: number, leewayMs: number): CheckOutcome {
  const apartMs = Math.max(0, Math.abs(skewMs) - DATE_ERROR_MS);
  const text = `${skewMs < 0 ? "OpenBao is behind" : "OpenBao is ahead"} by ${formatDuration(Math.round(apartMs / 1000) * 1000)}`;
  return apartMs > leewayMs
    ? {
        findings: [
          failure(
            "clock_skew",
            `${text}, more than the leeway of ${formatDuration(leewayMs)}: credentials can be refused as expired or not yet valid`,
            "synchronise the clocks: timedatectl on both machines",
            "auth_failed",
          ),
        ],
      }
    : { detail: apartMs === 0 ? "no difference" : text };
}

export const openbaoAuth: DoctorCheck = {
  id: "openbao.auth",
  proves: "The credential logs in, and the token lasts and can be used without a limit.",
  needs: ["openbao.tls", "openbao.clock"],
  whenFailed: "see OpenBao's audit log for the login",
  run: async (context, signal) => {
    const { auth } = context.fact("loaded").config;
    const { ttlMs, renewable, credential } = await (await accessOf(context)).logIn(signal);
    return {
      detail: `a token for ${formatDuration(ttlMs)}${renewable ? ", renewable" : ""}${secretIdDetail(auth.method, credential, context.options.wallMs())}`,
      findings: raised(
        credential.usesLeft !== undefined &&
          credential.usesLeft <= FEW_LOGINS &&
          warning(
            "secret_id_uses_low",
            `the secret id is good for ${countOf(credential.usesLeft, "more login")}, and each start, each run of doctor and each end of a token takes one`,
            "put a new one in place, of a role with secret_id_num_uses=0 and a secret_id_ttl instead",
          ),
        ttlMs <= auth.loginBeforeTokenExpiry &&
          warning(
            "token_short",
            `the token lasts ${formatDuration(ttlMs)}, no longer than auth.loginBeforeTokenExpiry (${formatDuration(auth.loginBeforeTokenExpiry)}), so the provider would log in all the time`,
            "give the role a longer token_ttl, or shorten auth.loginBeforeTokenExpiry",
          ),
      ),
    };
  },
};

/** What OpenBao says of the secret id; the end of the other credentials is in their local checks. */
function secretIdDetail(
  method: string,
  { expiresAtMs, usesLeft }: { readonly expiresAtMs?: number; readonly usesLeft?: number },
  nowMs: number,
): string {
  if (method !== "approle") {
    return "";
  }
  const span =
    expiresAtMs === undefined
      ? []
      : [`for ${formatDuration(Math.floor((expiresAtMs - nowMs) / 60_000) * 60_000)} more`];
  const logins = usesLeft === undefined ? [] : [`for ${countOf(usesLeft, "more login")}`];
  const known = [...span, ...logins];
  return known.length === 0 ? "" : `; the secret id is good ${known.join(" and ")}`;
}
