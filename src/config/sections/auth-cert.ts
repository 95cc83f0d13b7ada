/** @module `auth.cert`: login with a client certificate whose key is in a PKCS#11 token or in a file. */
import * as v from "valibot";
import { assertNever } from "../../base/assert-never.ts";
import { absolutePath, authMount, count, durationOr, oneOf, plainText, refuseField } from "../field-types.ts";

const pkcs11Section = v.strictObject({
  certificateFile: absolutePath(
    "PEM file of the certificate chain, leaf first. Read again before each login.",
    { example: "/etc/openbao-kms/client/client-chain.pem" },
  ),
  modulePath: absolutePath("The vendor's PKCS#11 module.", { example: "/usr/lib/softhsm/libsofthsm2.so" }),
  tokenLabel: plainText("The label of the token.", { example: "openbao-kms", maxBytes: 32, required: true }),
  keyLabel: plainText("The label of the private key in the token.", {
    example: "openbao-kms-client",
    maxBytes: 256,
    required: true,
  }),
  pinFile: absolutePath(
    "File with the token's user PIN. Read again before each login; a refused PIN is not tried twice.",
    { example: "/etc/openbao-kms/pkcs11/pin" },
  ),
  maxSessions: v.optional(count("The most sessions that may be open in the token.", { min: 2, max: 64 }), 2),
});

export const certSection = v.pipe(
  v.strictObject({
    mountPath: authMount("certificate", "auth/cert"),
    name: v.optional(
      plainText("The certificate role to log in to. Empty lets OpenBao find it.", { maxBytes: 256 }),
      "",
    ),
    minRemainingTtl: durationOr(
      "24h",
      { minMs: 0, maxMs: 365 * 24 * 3_600_000 },
      "A certificate that expires sooner than this is reported and not used.",
    ),
    clockSkewLeeway: durationOr(
      "30s",
      { minMs: 0, maxMs: 600_000 },
      "How far the clocks of the CA and of this machine may be apart.",
    ),
    source: oneOf("Where the private key is.", ["pkcs11", "file"], { example: "pkcs11" }),
    pkcs11: v.optional(pkcs11Section),
    certificateFile: v.optional(
      absolutePath(
        "Source file: PEM file of the certificate chain, leaf first. Read again before each login.",
        { example: "/etc/openbao-kms/client/client-chain.pem" },
      ),
    ),
    privateKeyFile: v.optional(
      absolutePath(
        "Source file: PEM file of the private key, or the file of certificateFile when it has both. Read again before each login.",
        { example: "/etc/openbao-kms/client/client-key.pem" },
      ),
    ),
  }),
  v.rawTransform((context) => {
    const { value } = context.dataset;
    const { source, pkcs11, certificateFile, privateKeyFile, ...common } = value;
    switch (source) {
      case "pkcs11":
        return pkcs11 === undefined
          ? refuseField(context, "pkcs11")
          : { ...common, credential: { source, ...pkcs11 } };
      case "file":
        if (certificateFile === undefined || privateKeyFile === undefined) {
          return refuseField(context, certificateFile === undefined ? "certificateFile" : "privateKeyFile");
        }
        return { ...common, credential: { source, certificateFile, privateKeyFile } };
      default:
        return assertNever(source);
    }
  }),
);
