/** @module `openbao`: where OpenBao is and how it is recognised. */
import * as v from "valibot";
import { httpsUrl, serverName } from "../address-types.ts";
import { about, absolutePath, durationOr, identityText, namespacePath, refuseField } from "../field-types.ts";

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
