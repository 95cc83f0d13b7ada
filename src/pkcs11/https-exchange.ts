/** @module One HTTPS request and its answer, over a TLS connection whose client key is in a token. */
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { readBounded } from "../base/read-bounded.ts";
import { HelperFailure } from "./failure.ts";
import type { Exchange } from "./helper-protocol.ts";
import { type SignFunction, type TlsLibrary, tlsFailure, tlsStream } from "./tls-client.ts";

interface ClientIdentity {
  readonly chain: readonly Uint8Array[];
  readonly schemes: readonly number[];
  readonly sign: SignFunction;
}

interface ExchangeAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}

/** Room for TLS records and HTTP framing beside the body itself. */
const FRAMING_BYTES = 128 * 1024;

/** @throws HelperFailure */
export async function httpsExchange(
  tls: TlsLibrary,
  exchange: Exchange,
  identity: ClientIdentity,
): Promise<ExchangeAnswer> {
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
    return {
      status: message.statusCode ?? 0,
      headers: headersOf(message),
      body: await readBody(message, exchange.maxBytes),
    };
  } catch (error) {
    throw asFailure(signFailure ?? stream.errored ?? error);
  } finally {
    stream.destroy();
  }
}

function openClient(
  tls: TlsLibrary,
  exchange: Exchange,
  identity: ClientIdentity,
  onSignFailure: (error: unknown) => void,
): InstanceType<TlsLibrary["TlsClient"]> {
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

function headersOf(message: IncomingMessage): readonly (readonly [string, string])[] {
  return Object.entries(message.headers).flatMap(([name, value]) =>
    typeof value === "string" ? [[name, value] as const] : [],
  );
}

async function readBody(message: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const body = await readBounded(message as AsyncIterable<Uint8Array>, maxBytes);
  if (body === undefined) {
    throw new HelperFailure("answer_too_large");
  }
  if (!message.complete) {
    throw new HelperFailure("connection_cut");
  }
  return body;
}

/** A failure of the stream is ours; anything else is node:http's word about an answer that is not HTTP. */
function asFailure(error: unknown): HelperFailure {
  return error instanceof HelperFailure ? error : new HelperFailure("answer_invalid", undefined, error);
}
