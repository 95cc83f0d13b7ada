/** @module The kinds of configuration value that name a place on the network. */
import { isIP } from "node:net";
import * as v from "valibot";
import { type FieldDoc, textKind } from "./field-types.ts";

/** An https URL without user info, query or fragment; `path` says whether it may have a path. */
export function httpsUrl(doc: FieldDoc, options: { readonly path: boolean }) {
  /** A text that is no URL is refused once, for that. */
  const ofUrl = (isGood: (url: URL) => boolean, problem: string) =>
    v.check((value: string) => {
      const url = URL.parse(value);
      return url === null || isGood(url);
    }, problem);
  return v.pipe(
    textKind(
      doc,
      `an https URL without user info, query and fragment${options.path ? "" : " and without a path"}`,
    ),
    v.check((value) => value.length <= 2048 && URL.canParse(value), "is not a URL"),
    ofUrl(({ protocol }) => protocol === "https:", "is not an https URL"),
    ofUrl(({ username, password }) => username === "" && password === "", "contains user info"),
    v.check((value) => !/[?#]/.test(value), "contains a query or a fragment"),
    ofUrl(({ pathname }) => options.path || pathname === "/", "contains a path"),
    v.transform((value) => (options.path ? new URL(value).href : new URL(value).origin)),
  );
}

const DNS_NAME =
  /^(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/;

export function serverName(doc: FieldDoc) {
  return v.pipe(
    textKind(doc, "the DNS name or IP address in the server's certificate"),
    v.check((name) => isIP(name) !== 0 || DNS_NAME.test(name), "is neither a DNS name nor an IP address"),
  );
}

interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** `host:port` as Go writes it; an empty host means every interface, as it does there. */
function parseListenAddress(address: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([^:[\]]*)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535) {
    return undefined;
  }
  const host = match[1] ?? match[2] ?? "";
  if (match[1] !== undefined) {
    return isIP(host) === 6 ? { host, port } : undefined;
  }
  if (host === "") {
    return { host: "0.0.0.0", port };
  }
  return host === "localhost" || isIP(host) === 4 ? { host, port } : undefined;
}

export function listenAddress(doc: FieldDoc) {
  return v.pipe(
    textKind(doc, "an IP address and a port, such as 127.0.0.1:8081 or [::1]:8081", true),
    v.check(
      (address) => parseListenAddress(address) !== undefined,
      "is not an IP address with a port of 1 to 65535",
    ),
    v.transform((address): ListenAddress => parseListenAddress(address) ?? { host: "127.0.0.1", port: 0 }),
  );
}
