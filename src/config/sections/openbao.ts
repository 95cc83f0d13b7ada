/** @module `openbao` and `transit`: where OpenBao and its key are, and how they are recognised. */
import * as v from "valibot";
import { httpsUrl, serverName } from "../address-types.ts";
import {
  about,
  absolutePath,
  apiPath,
  durationOr,
  identityText,
  namespacePath,
  refuseField,
  textKind,
} from "../field-types.ts";

const MIN_ADDRESSES = 2;
const MAX_ADDRESSES = 7;

export const openbaoSection = v.pipe(
  v.strictObject({
    address: v.optional(
      httpsUrl("The address of OpenBao. Give exactly one of `address` and `addresses`.", {
        example: "https://openbao.example:8200",
        path: false,
      }),
    ),
    addresses: v.optional(
      v.pipe(
        v.array(httpsUrl("The address of one node.", { path: false })),
        about(
          "The addresses of 2 to 7 nodes of one OpenBao cluster, instead of `address`. The next one is tried inside the same deadline when a node cannot be reached, is sealed or is a standby that does not forward.",
          { expected: `a list of ${MIN_ADDRESSES} to ${MAX_ADDRESSES} https URLs` },
        ),
        v.minLength(MIN_ADDRESSES, `has fewer than ${MIN_ADDRESSES} entries`),
        v.maxLength(MAX_ADDRESSES, `has more than ${MAX_ADDRESSES} entries`),
        v.check((list) => new Set(list).size === list.length, "names one address twice"),
      ),
    ),
    namespace: v.optional(
      namespacePath(
        "The OpenBao namespace of the Transit mount, and of the auth mount unless auth.namespace is set; part of the key's identity. Empty for none.",
        { example: "infra/kms" },
      ),
      "",
    ),
    caCertFile: absolutePath(
      "PEM file of the CAs that OpenBao's certificate is verified against, and no others. Read again when it changes.",
      { example: "/etc/openbao-kms/tls/ca.crt" },
    ),
    tlsServerName: serverName("The name that OpenBao's certificate must carry.", {
      example: "openbao.example",
    }),
    instanceId: identityText(
      "Your own lasting name of this OpenBao installation; part of the key's identity.",
      { example: "openbao-prod-eu1" },
    ),
    timeout: durationOr(
      "2s",
      { minMs: 100, maxMs: 60_000 },
      "How long one call may take, connection included.",
    ),
  }),
  v.rawTransform((context) => {
    const { value } = context.dataset;
    const { address, addresses, ...rest } = value;
    const given = addresses ?? (address === undefined ? undefined : [address]);
    if (given === undefined || (address !== undefined && addresses !== undefined)) {
      return refuseField(
        context,
        "address",
        given === undefined ? "is missing" : "is given as well as openbao.addresses; remove one of the two",
      );
    }
    const list: readonly string[] = given;
    return { ...rest, addresses: list };
  }),
);

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
