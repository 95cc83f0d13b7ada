/** @module The configuration file, whole: the one definition of its fields, types, defaults, bounds and relations. */
import * as v from "valibot";
import { about } from "./field-types.ts";
import { authSection } from "./sections/auth.ts";
import { openbaoSection, transitSection } from "./sections/openbao.ts";
import {
  bootstrapSection,
  loggingSection,
  rotationSection,
  stateSection,
  statusSection,
} from "./sections/operation.ts";
import { serverSection } from "./sections/server.ts";

const CONFIG_VERSION = "v1alpha1";

/** `auth.loginTimeout: 0s` stands for the longer of this and openbao.timeout. */
const SHORTEST_LOGIN_TIMEOUT_MS = 5000;

const file = v.strictObject({
  configVersion: v.pipe(
    v.literal(CONFIG_VERSION),
    about("The version of this file format.", {
      example: CONFIG_VERSION,
      expected: CONFIG_VERSION,
      shown: true,
    }),
  ),
  server: serverSection,
  openbao: openbaoSection,
  auth: authSection,
  transit: transitSection,
  bootstrap: v.optional(bootstrapSection, {}),
  status: v.optional(statusSection, {}),
  state: v.optional(stateSection, {}),
  rotation: v.optional(rotationSection, {}),
  logging: v.optional(loggingSection, {}),
});

/** `kms` of `infra/kms` in `infra`, `""` of a namespace in itself; `undefined` when it is not in it. */
export function relativeNamespace(namespace: string, above: string): string | undefined {
  if (namespace === above || above === "") {
    return namespace === above ? "" : namespace;
  }
  return namespace.startsWith(`${above}/`) ? namespace.slice(above.length + 1) : undefined;
}

export const configSchema = v.pipe(
  file,
  v.forward(
    v.partialCheck(
      [
        ["server", "metricsAddress"],
        ["server", "healthAddress"],
      ],
      ({ server: { metricsAddress, healthAddress } }) =>
        metricsAddress.port !== healthAddress.port || metricsAddress.host !== healthAddress.host,
      "is the same as server.metricsAddress; give one of the two another port",
    ),
    ["server", "healthAddress"],
  ),
  v.forward(
    v.partialCheck(
      [
        ["auth", "tokenRenewalIncrement"],
        ["auth", "loginBeforeTokenExpiry"],
      ],
      ({ auth }) => auth.tokenRenewalIncrement > auth.loginBeforeTokenExpiry,
      "is not longer than auth.loginBeforeTokenExpiry; make it longer, or that one shorter",
    ),
    ["auth", "tokenRenewalIncrement"],
  ),
  v.forward(
    v.partialCheck(
      [
        ["status", "probeInterval"],
        ["status", "statusMaxStaleness"],
      ],
      ({ status }) => status.probeInterval < status.statusMaxStaleness,
      "is not shorter than status.statusMaxStaleness; make it shorter, or that one longer",
    ),
    ["status", "probeInterval"],
  ),
  v.forward(
    v.partialCheck(
      [
        ["openbao", "namespace"],
        ["auth", "namespace"],
      ],
      ({ openbao, auth }) =>
        auth.namespace === undefined || relativeNamespace(openbao.namespace, auth.namespace) !== undefined,
      "is neither openbao.namespace nor a namespace above it; OpenBao takes a token in its own namespace and below it only",
    ),
    ["auth", "namespace"],
  ),
  v.transform((config) => ({
    ...config,
    auth: {
      ...config.auth,
      namespace: config.auth.namespace ?? config.openbao.namespace,
      loginTimeout:
        config.auth.loginTimeout === 0
          ? Math.max(config.openbao.timeout, SHORTEST_LOGIN_TIMEOUT_MS)
          : config.auth.loginTimeout,
    },
  })),
);

/** The file after parsing: every default filled in, durations in milliseconds, choices as discriminated unions. */
export type ProviderConfig = v.InferOutput<typeof configSchema>;
export type LogLevel = ProviderConfig["logging"]["level"];
