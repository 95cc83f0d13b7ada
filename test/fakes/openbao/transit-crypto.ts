/** @module Encrypt and decrypt, one item or a batch. The two calls of every day. Cryptography is in transit-key.ts. */
import { FieldError, intField, textField } from "./fields.ts";
import {
  data,
  isJsonObject,
  type Json,
  type JsonObject,
  type Reply,
  refuse,
  refuseWrapped,
} from "./reply.ts";
import type { TransitMount } from "./state.ts";
import { decryptWith, encryptWith, KeyRefusal, makeKey, type TransitKey } from "./transit-key.ts";

/** A request on one key. */
export interface TransitCall {
  readonly mount: TransitMount;
  readonly keyName: string;
  readonly body: JsonObject;
  readonly nowMs: number;
}

const DEFAULT_KEY = {
  type: "aes256-gcm96",
  derived: false,
  convergent: false,
  exportable: false,
  allowPlaintextBackup: false,
} as const;

/** A batch item's result, or the refusal that stands in its place. */
type ItemResult = { readonly ok: JsonObject } | { readonly error: string; readonly status: number };

function attempt(work: () => JsonObject): ItemResult {
  try {
    return { ok: work() };
  } catch (error) {
    if (error instanceof KeyRefusal) {
      return { error: error.message, status: error.status };
    }
    if (error instanceof FieldError) {
      return { error: error.message, status: 400 };
    }
    throw error;
  }
}

export function encrypt({ mount, keyName, body, nowMs }: TransitCall): Reply {
  if (!mount.keys.has(keyName) && !mount.disableUpsert) {
    mount.keys.set(keyName, makeKey(keyName, DEFAULT_KEY, nowMs));
  }
  return each(mount, keyName, body, "plaintext", "missing plaintext to encrypt", {}, (key, item) => {
    const { ciphertext, version } = encryptWith(
      key,
      textField(item, "plaintext"),
      textField(item, "associated_data"),
      intField(item, "key_version"),
    );
    return { ciphertext, key_version: version };
  });
}

export function decrypt({ mount, keyName, body }: TransitCall): Reply {
  return each(
    mount,
    keyName,
    body,
    "ciphertext",
    "missing ciphertext to decrypt",
    { plaintext: "" },
    (key, item) => ({
      plaintext: decryptWith(key, textField(item, "ciphertext"), textField(item, "associated_data")).toString(
        "base64",
      ),
    }),
  );
}

/** One item from the body itself, or each of `batch_input`; one refused item makes a whole batch 400. */
function each(
  mount: TransitMount,
  keyName: string,
  body: JsonObject,
  field: "plaintext" | "ciphertext",
  missing: string,
  failed: JsonObject,
  work: (key: TransitKey, item: JsonObject) => JsonObject,
): Reply {
  const batch = body["batch_input"];
  const items = batch === undefined ? undefined : batchItems(batch, field, missing);
  if (items !== undefined && "reply" in items) {
    return items.reply;
  }
  const isMissing = field === "plaintext" ? body[field] === undefined : textField(body, field) === "";
  if (items === undefined && isMissing) {
    return refuse(400, missing);
  }
  const key = mount.keys.get(keyName);
  if (key === undefined) {
    return refuse(400, "encryption key not found");
  }
  if (items === undefined) {
    const result = attempt(() => work(key, body));
    if ("ok" in result) {
      return data(result.ok);
    }
    return result.status === 500 ? refuseWrapped(500, result.error) : refuse(result.status, result.error);
  }
  const results = items.list.map((item) => ({ item, result: attempt(() => work(key, item)) }));
  const worst = Math.max(200, ...results.map(({ result }) => ("ok" in result ? 200 : result.status)));
  return data(
    {
      batch_results: results.map(({ item, result }) =>
        Object.assign(
          { reference: textField(item, "reference") },
          "ok" in result ? result.ok : { ...failed, error: result.error },
        ),
      ),
    },
    { status: worst },
  );
}

function batchItems(
  batch: Json,
  field: string,
  missing: string,
): { readonly list: readonly JsonObject[] } | { readonly reply: Reply } {
  const failed = (reason: string): { readonly reply: Reply } => ({
    reply: refuseWrapped(500, `failed to parse batch input: ${reason}`),
  });
  if (!Array.isArray(batch)) {
    return failed(`source data must be an array or slice, got ${typeof batch}`);
  }
  if (batch.length === 0) {
    return { reply: refuse(400, "missing batch input to process") };
  }
  const list: JsonObject[] = [];
  for (const [index, item] of batch.entries()) {
    if (!isJsonObject(item)) {
      return failed(
        `[${index}] expected a map, got '${typeof item === "number" ? "json.Number" : typeof item}'`,
      );
    }
    if (item[field] === undefined) {
      return failed(`'[${index}].${field}' ${missing}`);
    }
    list.push(item);
  }
  return { list };
}
