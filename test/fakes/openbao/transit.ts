/**
 * @module The Transit secrets engine: what a provider calls, and what an operator does to a key. Requests under a transit
 * mount. Cryptography and key rules are in transit-key.ts.
 */
import { boolField, intField, secondsField, textField } from "./fields.ts";
import {
  data,
  type JsonObject,
  noContent,
  notFound,
  type Reply,
  refuse,
  refuseWrapped,
  unsupportedOperation,
  unsupportedPath,
} from "./reply.ts";
import type { TransitMount } from "./state.ts";
import { decrypt, encrypt, type TransitCall } from "./transit-crypto.ts";
import { describeKey, KEY_TYPES, makeKey, rotateKey, type TransitKey } from "./transit-key.ts";

type Handler = (call: TransitCall) => Reply;

const ROUTES: readonly { readonly path: RegExp; readonly methods: Readonly<Record<string, Handler>> }[] = [
  { path: /^config\/keys$/, methods: { GET: readMountConfig, POST: writeMountConfig } },
  { path: /^keys\/([^/]+)$/, methods: { GET: readKey, POST: createKey, DELETE: deleteKey } },
  { path: /^keys\/([^/]+)\/rotate$/, methods: { POST: rotate } },
  { path: /^keys\/([^/]+)\/config$/, methods: { POST: configureKey } },
  { path: /^keys\/([^/]+)\/soft-delete$/, methods: { DELETE: softDelete } },
  { path: /^keys\/([^/]+)\/soft-delete-restore$/, methods: { POST: softDeleteRestore } },
  { path: /^encrypt\/([^/]+)$/, methods: { POST: encrypt } },
  { path: /^decrypt\/([^/]+)$/, methods: { POST: decrypt } },
];

export function transitReply(
  mount: TransitMount,
  method: string,
  path: string,
  body: JsonObject,
  nowMs: number,
): Reply {
  for (const route of ROUTES) {
    const match = route.path.exec(path);
    if (match !== null) {
      const handler = route.methods[method];
      return handler === undefined
        ? unsupportedOperation
        : handler({ mount, keyName: match[1] ?? "", body, nowMs });
    }
  }
  return unsupportedPath;
}

/** Encrypt under a name that holds no key counts as `create`, every other write as `update`. */
export function transitWriteCapability(mount: TransitMount, path: string): "create" | "update" {
  const name = /^encrypt\/([^/]+)$/.exec(path)?.[1];
  return name === undefined || mount.keys.has(name) ? "update" : "create";
}

function readMountConfig({ mount }: TransitCall): Reply {
  return data({ disable_upsert: mount.disableUpsert });
}

function writeMountConfig({ mount, body }: TransitCall): Reply {
  mount.disableUpsert = boolField(body, "disable_upsert");
  return data({ disable_upsert: mount.disableUpsert });
}

function readKey({ mount, keyName }: TransitCall): Reply {
  const key = mount.keys.get(keyName);
  return key === undefined ? notFound : data(describeKey(key));
}

function createKey({ mount, keyName, body, nowMs }: TransitCall): Reply {
  const existing = mount.keys.get(keyName);
  if (existing !== undefined) {
    return data(describeKey(existing));
  }
  const type = textField(body, "type") === "" ? "aes256-gcm96" : textField(body, "type");
  if (!Object.hasOwn(KEY_TYPES, type)) {
    return refuse(400, `unknown key type ${type}`);
  }
  const derived = boolField(body, "derived");
  const convergent = boolField(body, "convergent_encryption");
  if (convergent && !derived) {
    return refuse(400, "convergent encryption requires derivation to be enabled");
  }
  const options = {
    type,
    derived,
    convergent,
    exportable: boolField(body, "exportable"),
    allowPlaintextBackup: boolField(body, "allow_plaintext_backup"),
  };
  const key = makeKey(keyName, options, nowMs);
  mount.keys.set(keyName, key);
  return data(describeKey(key));
}

function deleteKey({ mount, keyName }: TransitCall): Reply {
  const key = mount.keys.get(keyName);
  if (key === undefined) {
    return refuse(400, `error deleting policy ${keyName}: could not delete key; not found`);
  }
  if (!key.deletionAllowed) {
    return refuse(400, `error deleting policy ${keyName}: deletion is not allowed for this key`);
  }
  mount.keys.delete(keyName);
  return noContent;
}

function rotate({ mount, keyName, nowMs }: TransitCall): Reply {
  const key = mount.keys.get(keyName);
  if (key === undefined) {
    return refuse(400, "key not found");
  }
  if (key.softDeleted) {
    return refuseWrapped(500, "refusing to use soft-deleted key");
  }
  rotateKey(key, nowMs);
  return data(describeKey(key));
}

function configureKey({ mount, keyName, body }: TransitCall): Reply {
  const key = mount.keys.get(keyName);
  if (key === undefined) {
    return refuse(400, `no existing key named ${keyName} could be found`);
  }
  const latest = key.versions.length;
  const has = (name: string): boolean => body[name] !== undefined;
  const warnings: string[] = [];
  let minDecryption = has("min_decryption_version")
    ? intField(body, "min_decryption_version")
    : key.minDecryptionVersion;
  const minEncryption = has("min_encryption_version")
    ? intField(body, "min_encryption_version")
    : key.minEncryptionVersion;
  if (minDecryption === 0) {
    minDecryption = 1;
    warnings.push(
      "since Vault 0.3 (prior to the OpenBao fork), transit key numbering starts at 1; forcing minimum to 1",
    );
  }
  if (minDecryption > latest) {
    return refuse(
      400,
      `cannot set min decryption version of ${minDecryption}, latest key version is ${latest}`,
    );
  }
  if (minEncryption > latest) {
    return refuse(
      400,
      `cannot set min encryption version of ${minEncryption}, latest key version is ${latest}`,
    );
  }
  if (minEncryption > 0 && minEncryption < minDecryption) {
    return refuse(
      400,
      `cannot set min encryption/decryption values; min encryption version of ${minEncryption} must be greater than or equal to min decryption version of ${minDecryption}`,
    );
  }
  key.minDecryptionVersion = minDecryption;
  key.minEncryptionVersion = minEncryption;
  if (has("deletion_allowed")) {
    key.deletionAllowed = boolField(body, "deletion_allowed");
  }
  // Both can be switched on and never off again.
  key.exportable ||= boolField(body, "exportable");
  key.allowPlaintextBackup ||= boolField(body, "allow_plaintext_backup");
  if (has("auto_rotate_period")) {
    key.autoRotateSeconds = secondsField(body, "auto_rotate_period");
  }
  return data(describeKey(key), { warnings });
}

function softDelete({ mount, keyName }: TransitCall): Reply {
  return setSoftDeleted(mount.keys.get(keyName), true, "key was already marked as soft deleted");
}

function softDeleteRestore({ mount, keyName }: TransitCall): Reply {
  return setSoftDeleted(mount.keys.get(keyName), false, "key was already restored");
}

function setSoftDeleted(key: TransitKey | undefined, value: boolean, already: string): Reply {
  if (key === undefined) {
    return refuse(400, "key not found");
  }
  const warnings = key.softDeleted === value ? [already] : [];
  key.softDeleted = value;
  return data(describeKey(key), { warnings });
}
