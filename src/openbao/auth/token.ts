/** @module A token of OpenBao and how long it lasts. */
import * as v from "valibot";
import { Secret } from "../../base/secret.ts";

/** What a login or a renewal granted. */
export type Grant = NonNullable<ReturnType<typeof decodeGrant>>;

export interface Token extends Pick<Grant, "secret" | "kind" | "renewable" | "roleName"> {
  /** Boot-time clock: lifetimes run while the machine sleeps. */
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const authBlock = v.object({
  // It becomes a header: visible ASCII only.
  client_token: v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,8192}$/)),
  lease_duration: v.pipe(whole, v.maxValue(100 * 365 * 86_400)),
  renewable: v.boolean(),
  token_type: v.string(),
  num_uses: v.optional(whole, 0),
  // It becomes a segment of a path.
  metadata: v.fallback(
    v.nullish(v.object({ role_name: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_.-]{1,256}$/))) })),
    undefined,
  ),
});

/** The grant in a reply's `auth`; `undefined` when it is none. */
export function decodeGrant(auth: unknown) {
  const parsed = v.safeParse(authBlock, auth);
  if (!parsed.success) {
    return undefined;
  }
  const { client_token, lease_duration, renewable, token_type, num_uses, metadata } = parsed.output;
  return {
    secret: new Secret(client_token),
    kind: token_type === "batch" ? "batch" : "service",
    renewable,
    /** 0: never ends. */
    ttlMs: lease_duration * 1000,
    /** Calls that may be made with it; 0: any number. */
    uses: num_uses,
    /** Of an AppRole login. */
    roleName: metadata?.role_name,
  } as const;
}

/** The token of a login that was asked for at `askedAtMs` of the boot-time clock: it ends no later than this says. */
export function tokenOf({ secret, kind, renewable, ttlMs, roleName }: Grant, askedAtMs: number): Token {
  return { secret, kind, renewable, issuedAtMs: askedAtMs, expiresAtMs: askedAtMs + ttlMs, roleName };
}

/** The same token after a renewal that was asked for at `askedAtMs`. */
export function renewedToken(token: Token, { renewable, ttlMs }: Grant, askedAtMs: number): Token {
  return { ...token, renewable, expiresAtMs: askedAtMs + ttlMs };
}
