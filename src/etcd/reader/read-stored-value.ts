/** @module The key that one object in a running etcd needs at this moment: one read of one key. */
import { classifyStoredValue, type StoredValue } from "../stored/stored-value.ts";
import type { EtcdEndpoint } from "./endpoint.ts";

/** Asks the endpoints in turn; `undefined` when the key is gone. Throws ConnectError when none answers. */
export async function readStoredValue(
  endpoints: readonly EtcdEndpoint[],
  key: string,
  signal: AbortSignal,
): Promise<StoredValue | undefined> {
  const name = Buffer.from(key);
  const rangeEnd = Buffer.concat([name, Buffer.of(0)]);
  let failure: unknown;
  for (const endpoint of endpoints) {
    try {
      const { kvs } = await endpoint.range({ key: name, rangeEnd, limit: 1, revision: 0n }, signal);
      const [found] = kvs;
      return found === undefined ? undefined : classifyStoredValue(found.value);
    } catch (error) {
      signal.throwIfAborted();
      failure = error;
    }
  }
  throw failure;
}
