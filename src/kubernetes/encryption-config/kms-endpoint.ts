/** @module The path that kube-apiserver dials for a KMS `endpoint`: Go's url.Parse and k8s.io/kms ParseEndpoint. */
const URL_PARTS = /^unix:(?:\/\/(?<host>[^/]*))?(?<path>[^?]*)(?:\?(?<query>.*))?$/is;
/** A narrower form of what Go takes; nothing listens at a host. */
const HOST = /^[A-Za-z0-9._~!$&'()*+,;=-]*(?::\d*)?$/;
const BAD_ESCAPE = /%(?![0-9a-fA-F]{2})/;

/** Undefined when kube-apiserver would refuse the endpoint. */
export function socketPathOf(endpoint: string): string | undefined {
  const [address, fragment] = split(endpoint, "#");
  const parts = URL_PARTS.exec(address)?.groups;
  if (parts === undefined || hasControl(endpoint) || BAD_ESCAPE.test(fragment)) {
    return undefined;
  }
  const { host = "", path = "" } = parts;
  if (!HOST.test(host) || BAD_ESCAPE.test(path)) {
    return undefined;
  }
  // Without a slash after the scheme Go has an opaque URL, whose path is empty.
  const dialled = path.startsWith("/") ? unescaped(path) : "";
  // kube-apiserver's gRPC client parses the path once more as part of a URL.
  if (BAD_ESCAPE.test(dialled) || hasControl(dialled)) {
    return undefined;
  }
  return dialled.startsWith("/@") ? dialled.slice(1) : dialled;
}

/** Go refuses a URL with one. */
function hasControl(text: string): boolean {
  return Array.from(text).some((character) => character < " " || character === "\u007f");
}

function split(text: string, separator: string): readonly [string, string] {
  const index = text.indexOf(separator);
  return index === -1 ? [text, ""] : [text.slice(0, index), text.slice(index + 1)];
}

/** Bytes, not characters, are escaped; what is not UTF-8 then cannot be a path of ours. */
function unescaped(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
