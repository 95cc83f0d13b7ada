/** @module One HTTPS request and its answer, over a TLS connection whose client key is in a token. */
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { readBounded } from "../base/read-bounded.ts";
import { HelperFailure } from "./errors.ts";
import type { Exchange, HelperLine } from "./helper-protocol.ts";
import {
  type SignFunction,
  type TlsClient,
  type TlsLibrary,
  type TlsOptions,
  tlsFailure,
  tlsStream,
} from "./tls-client.ts";

interface ClientIdentity extends Pick<TlsOptions, "chain" | "schemes"> {
  readonly sign: SignFunction;
}

/** Room for TLS records and HTTP framing beside the body itself. */
const FRAMING_BYTES = 128 * 1024;

/** @throws HelperFailure */
export async function httpsExchange(
  tls: TlsLibrary,
  exchange: Exchange,
  identity: ClientIdentity,
): Promise<Extract<HelperLine, { kind: "answer" }>> {
  let signFailure: unknown;
  const client = openClient(tls, exchange, identity, (error) => {
    signFailure = error;
  });
  const socket = connect({ host: exchange.host, port: exchange.port });
  const stream = tlsStream(client, socket);
  try {
    const message = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request({
        createConnection: () => stream,
        host: exchange.host,
        port: exchange.port,
        method: exchange.method,
        path: exchange.path,
        headers: {
          ...Object.fromEntries(exchange.headers),
          connection: "close",
          "content-length": String(exchange.body.length),
        },
      });
      outgoing.once("response", resolve);
      outgoing.once("error", reject);
      stream.once("error", reject);
      outgoing.end(exchange.body);
    });
    const body = await readBounded(message as AsyncIterable<Uint8Array>, exchange.maxBytes);
    if (body === undefined || !message.complete) {
      throw new HelperFailure(body === undefined ? "answer_too_large" : "connection_cut");
    }
    return {
      kind: "answer",
      status: message.statusCode ?? 0,
      headers: Object.entries(message.headers).flatMap(([name, value]) =>
        typeof value === "string" ? [[name, value]] : [],
      ),
      body,
    };
  } catch (error) {
    // A failure of the stream is ours; anything else is node:http's word about an answer that is not HTTP.
    throw HelperFailure.from(signFailure ?? stream.errored ?? error, "answer_invalid");
  } finally {
    stream.destroy();
  }
}

function openClient(
  tls: TlsLibrary,
  exchange: Exchange,
  identity: ClientIdentity,
  onSignFailure: (error: unknown) => void,
): TlsClient {
  const options = {
    serverName: exchange.serverName,
    ca: exchange.ca,
    chain: identity.chain,
    schemes: identity.schemes,
    maxPlainBytes: exchange.maxBytes + FRAMING_BYTES,
  };
  try {
    return new tls.TlsClient(options, (scheme, message) => {
      try {
        return identity.sign(scheme, message);
      } catch (error) {
        // The addon turns what is thrown here into an error of its own.
        onSignFailure(error);
        throw error;
      }
    });
  } catch (error) {
    throw tlsFailure(error);
  }
}
