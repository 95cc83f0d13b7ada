/**
 * @module The `token_*` fields that the roles of all login methods share. Reads them from a role's body. What they do to a
 * token is in tokens.ts.
 */
import { boolField, intField, listField, secondsField, textField } from "./fields.ts";
import type { JsonObject } from "./reply.ts";
import type { TokenParameters } from "./state.ts";

export function tokenParameters(body: JsonObject): TokenParameters {
  return {
    policies: listField(body, "token_policies"),
    noDefaultPolicy: boolField(body, "token_no_default_policy"),
    type: textField(body, "token_type") === "batch" ? "batch" : "service",
    ttlSeconds: secondsField(body, "token_ttl"),
    maxTtlSeconds: secondsField(body, "token_max_ttl"),
    explicitMaxTtlSeconds: secondsField(body, "token_explicit_max_ttl"),
    periodSeconds: secondsField(body, "token_period"),
    numUses: intField(body, "token_num_uses"),
  };
}
