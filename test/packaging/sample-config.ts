/**
 * @module The samples of deploy/config with fields set, as an operator edits them. So the tests run on the samples themselves.
 */
import { join } from "node:path";
import { isMap, parseDocument } from "yaml";
import type { Provisioning } from "../fakes/openbao/provision.ts";
import { root } from "./artefacts.ts";

/** Values by path. */
export type FieldChanges = Readonly<Record<string, string | readonly string[]>>;

/** `changes` are by path, such as "openbao.tlsServerName"; sections that the sample lacks are made. */
export async function sampleWith(
  sample: "provider-systemd.yaml" | "provider-static-pod.yaml",
  changes: FieldChanges,
): Promise<string> {
  return withFields(await Bun.file(join(root, "deploy", "config", sample)).text(), changes);
}

/** The text of a configuration with fields set. */
export function withFields(text: string, changes: FieldChanges): string {
  const document = parseDocument(text);
  for (const [path, value] of Object.entries(changes)) {
    const keys = path.split(".");
    keys.slice(0, -1).forEach((_, depth) => {
      const section = keys.slice(0, depth + 1);
      if (!isMap(document.getIn(section))) {
        document.setIn(section, document.createNode({}));
      }
    });
    document.setIn(keys, value);
  }
  return document.toString();
}

/** The fields that name one OpenBao. */
export function openbaoFields(address: string, names: Provisioning): Readonly<Record<string, string>> {
  return {
    "openbao.address": address,
    "openbao.tlsServerName": "localhost",
    "auth.jwt.mountPath": `auth/${names.jwtMount}`,
    "auth.jwt.role": names.role,
    "transit.mountPath": names.mount,
    "transit.keyName": names.keyName,
  };
}
