/** @module A JWT from a file that something else keeps fresh. */
import { MAX_JWT_BYTES } from "./jwt-claims.ts";
import type { JwtSource } from "./jwt-method.ts";
import { readSecretFile } from "./secret-file.ts";

/** Source `file` of auth.jwt. */
export function jwtFileSource(path: string, serviceUid: number): JwtSource {
  const field = "auth.jwt.jwtFile";
  return {
    what: `${field}: the JWT in ${path}`,
    fix: `have a fresh JWT written to ${path}`,
    isStored: true,
    get: () => readSecretFile({ path, field, what: "the JWT", maxBytes: MAX_JWT_BYTES, serviceUid }),
  };
}
