/** @module `transit`: the key, by its place in OpenBao and by its lasting identity. */
import * as v from "valibot";
import { apiPath, identityText, textKind } from "../field-types.ts";

/** One path segment; OpenBao itself accepts no others. */
const KEY_NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_])?$/;

const keyIdScopeSection = v.strictObject({
  providerName: v.pipe(
    identityText("The name of this provider in kube-apiserver's EncryptionConfiguration.", {
      example: "openbao",
    }),
    v.check((text) => !text.includes(":"), "contains a colon, which kube-apiserver does not allow"),
  ),
  clusterId: identityText("Your own lasting name of this Kubernetes cluster, different for each.", {
    example: "prod-eu1",
  }),
  transitMountId: identityText(
    "Your own lasting name of the Transit mount, kept when the mount is moved or remounted.",
    { example: "transit-prod-eu1" },
  ),
  keyLineageId: identityText(
    "Your own lasting name of this line of key versions, changed only when the key is replaced by another.",
    { example: "prod-eu1-etcd-2026" },
  ),
});

export const transitSection = v.strictObject({
  mountPath: apiPath("The mount of the Transit engine.", { example: "transit" }),
  keyName: v.pipe(
    textKind(
      "The name of the Transit key.",
      "one path segment of letters, digits, `_`, and inside also `.` and `-`",
      { example: "prod-eu1-etcd" },
    ),
    v.regex(KEY_NAME, "is not one path segment that begins and ends with a letter, a digit or `_`"),
  ),
  keyIdScope: keyIdScopeSection,
});
