/** @module The kinds of configuration value that name a place on the network. */
import { isIP } from "node:net";
import * as v from "valibot";
import { type Example, textKind } from "./field-types.ts";

/** An https URL without user info, query or fragment; `path` says whether it may have a path. */
export function httpsUrl(description: string, { path, ...example }: Example & { readonly path: boolean }) {
  /** A text that is no URL is refused once, for that. */
  const ofUrl = (isGood: (url: URL) => boolean, problem: string) =>
    v.check((value: string) => {
      const url = URL.parse(value);
      return url === null || isGood(url);
    }, problem);
  return v.pipe(
    textKind(
      description,
      `an https URL without user info, query and fragment${path ? "" : " and without a path"}`,
      example,
    ),
    v.check((value) => value.length <= 2048 && URL.canParse(value), "is not a URL"),
    ofUrl(({ protocol }) => protocol === "https:", "is not an https URL"),
    ofUrl(({ username, password }) => username === "" && password === "", "contains user info"),
    v.check((value) => !/[?#]/.test(value), "contains a query or a fragment"),
    ofUrl(({ pathname }) => path || pathname === "/", "contains a path"),
    v.transform((value) => (path ? new URL(value).href : new URL(value).origin)),
  );
}

const DNS_NAME =
  /^(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/;

export function serverName(description: string, example: Example) {
  return v.pipe(
    textKind(description, "the DNS name or IP address in the server's certificate", example),
    v.check((name) => isIP(name) !== 0 || DNS_NAME.test(name), "is neither a DNS name nor an IP address"),
  );
}

/** `host:port` as Go writes it; an empty host means every interface, as it does there. */
function parseListenAddress(address: string): { readonly host: string; readonly port: number } | undefined {
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

export function listenAddress(description: string) {
  return v.pipe(
    textKind(description, "an IP address and a port, such as 127.0.0.1:8081 or [::1]:8081", { shown: true }),
    v.check(
      (address) => parseListenAddress(address) !== undefined,
      "is not an IP address with a port of 1 to 65535",
    ),
    v.transform((address) => parseListenAddress(address) ?? { host: "127.0.0.1", port: 0 }),
  );
}
