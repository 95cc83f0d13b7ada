/** @module Why a TLS handshake failed. */
import { isIP } from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import { withDeadline } from "../base/deadline.ts";
import type { TransportCode } from "./errors.ts";
import { transportCodeOf } from "./failure-code.ts";

const LONGEST_MS = 1000;
/** With TLS 1.3 a server refuses a client's certificate after the client has seen the handshake end. */
const AFTER_HANDSHAKE_MS = 200;

/** The code of the reason; `tls_handshake_failed` when the second handshake does not show one. Never throws. */
export async function handshakeFailure(
  url: string,
  { serverName, ...tls }: ConnectionOptions & { readonly serverName: string },
  signal: AbortSignal,
): Promise<TransportCode> {
  const { hostname, port } = new URL(url);
  using deadline = withDeadline(signal, LONGEST_MS);
  const socket = connect({
    ...tls,
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? 443 : Number(port),
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    checkServerIdentity: (_, certificate) => tls.checkServerIdentity?.(serverName, certificate),
  });
  const code = await new Promise<TransportCode>((resolve) => {
    const giveUp = (): void => resolve("tls_handshake_failed");
    deadline.signal.addEventListener("abort", giveUp, { once: true });
    socket.once("error", (error) => resolve(transportCodeOf(error, signal)));
    socket.once("close", giveUp);
    socket.once("secureConnect", () => socket.setTimeout(AFTER_HANDSHAKE_MS, giveUp));
  });
  socket.on("error", () => {});
  socket.destroy();
  return code.startsWith("tls_") ? code : "tls_handshake_failed";
}
