/**
 * A JWT from a file that something else keeps fresh.
 *
 * @module Reads the file anew before each login. What the JWT says: jwt-claims.ts.
 */
import { readSafeFile } from "../base/safe-file.ts";
import { Secret } from "../base/secret.ts";
import { MAX_JWT_BYTES } from "./jwt-claims.ts";
import type { JwtSource } from "./jwt-method.ts";

/** Source `file` of auth.jwt. A line break at the end of the file is no part of the JWT. */
export function jwtFileSource(path: string, serviceUid: number): JwtSource {
  return {
    what: `auth.jwt.jwtFile: the JWT in ${path}`,
    mend: `have a fresh JWT written to ${path}`,
    get: async () => {
      const { bytes } = await readSafeFile(path, {
        what: "the JWT",
        field: "auth.jwt.jwtFile",
        maxBytes: MAX_JWT_BYTES + 2,
        secret: true,
        serviceUid,
        errorClass: "auth_failed",
      });
      const text = new TextDecoder().decode(bytes).trim();
      bytes.fill(0);
      return new Secret(text);
    },
  };
}
