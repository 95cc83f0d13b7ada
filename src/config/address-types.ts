/** @module The kinds of configuration value that name a place on the network. */
import { isIP } from "node:net";
import * as v from "valibot";
import { about, type FieldDoc } from "./field-types.ts";

/** An https URL without user info, query or fragment; `path` says whether it may have a path. */
export function httpsUrl(doc: FieldDoc, options: { readonly path: boolean }) {
  return v.pipe(
    v.string(),
    v.metadata(
      about(doc, {
        expected: `an https URL without user info, query and fragment${options.path ? "" : " and without a path"}`,
        shown: false,
      }),
    ),
    v.check((text) => text.length <= 2048 && URL.canParse(text), "is not a URL"),
    v.check((text) => !URL.canParse(text) || new URL(text).protocol === "https:", "is not an https URL"),
    v.check(
      (text) => !URL.canParse(text) || (new URL(text).username === "" && new URL(text).password === ""),
      "contains user info",
    ),
    v.check((text) => !/[?#]/.test(text), "contains a query or a fragment"),
    v.check(
      (text) => options.path || !URL.canParse(text) || new URL(text).pathname === "/",
      "contains a path",
    ),
    v.transform((text) => (options.path ? new URL(text).href : new URL(text).origin)),
  );
}

const DNS_NAME =
  /^(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/;

export function serverName(doc: FieldDoc) {
  return v.pipe(
    v.string(),
    v.metadata(
      about(doc, { expected: "the DNS name or IP address in the server's certificate", shown: false }),
    ),
    v.check((text) => isIP(text) !== 0 || DNS_NAME.test(text), "is neither a DNS name nor an IP address"),
  );
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** `host:port` as Go writes it; an empty host means every interface, as it does there. */
function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
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
    v.string(),
    v.metadata(
      about(doc, { expected: "an IP address and a port, such as 127.0.0.1:8081 or [::1]:8081", shown: true }),
    ),
    v.check(
      (text) => parseListenAddress(text) !== undefined,
      "is not an IP address with a port of 1 to 65535",
    ),
    v.transform((text): ListenAddress => parseListenAddress(text) ?? { host: "127.0.0.1", port: 0 }),
  );
}
