/**
 * @module An empty merge patch with the resourceVersion: kube-apiserver writes the object under its current key, unless it changed.
 * @see https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/#ensure-all-secrets-are-encrypted
 */
import * as v from "valibot";
import { getShaped, type KubeClient } from "../../kubernetes/kube-client.ts";

export type RewriteOutcome =
  | "rewritten"
  /** Gone since the audit: nothing to do. */
  | "deleted"
  /** Changed by others each time it was tried. */
  | "contended"
  /** kube-apiserver does not accept the object as it is stored, or an admission webhook refuses it. */
  | "refused";

/** Only metadata comes back, whatever the resource. */
const METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const FIELD_MANAGER = "bao-kms-provider-migrate";
const MAX_TRIES = 5;

const METADATA = v.object({
  metadata: v.object({ resourceVersion: v.pipe(v.string(), v.regex(/^[0-9]{1,20}$/)) }),
});

/** `resourceVersion` is that of the audit; after a conflict the present one is asked for. Throws MigrateError. */
export async function rewrite(
  client: KubeClient,
  path: string,
  resourceVersion: string,
  signal: AbortSignal,
): Promise<RewriteOutcome> {
  let current = resourceVersion;
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const { status } = await client.call({
      method: "PATCH",
      path: `${path}?fieldManager=${FIELD_MANAGER}`,
      accept: METADATA_ONLY,
      body: JSON.stringify({ metadata: { resourceVersion: current } }),
      signal,
    });
    if (status === 200) {
      return "rewritten";
    }
    if (status === 404) {
      return "deleted";
    }
    if (status !== 409) {
      return "refused";
    }
    const newer = await currentVersion(client, path, signal);
    if (newer === undefined) {
      return "deleted";
    }
    current = newer;
  }
  return "contended";
}

/** The object's resourceVersion now; `undefined` when it is gone. */
async function currentVersion(
  client: KubeClient,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { value } = await getShaped(client, METADATA, { path, signal, accept: METADATA_ONLY });
  return value?.metadata.resourceVersion;
}
