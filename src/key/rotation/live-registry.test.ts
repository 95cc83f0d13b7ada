/** What is no error of the store leaves as it came; the store's own errors become values. */
import { expect, test } from "bun:test";
import { NODE_STATE_PATH, testPolicy } from "../../../test/fakes/key-node.ts";
import { never } from "../../../test/fakes/key-node-questions.ts";
import { testFirstContent, testIdentity } from "../../../test/fakes/registry-fixture.ts";
import { refusal } from "../registry/errors.ts";
import { LiveRegistry } from "./live-registry.ts";

function registryWhoseStoreThrows(error: Error): LiveRegistry {
  const failing = async (): Promise<never> => {
    throw error;
  };
  return new LiveRegistry({
    store: { load: failing, follow: failing, commit: failing, writeAgain: failing, rebuild: failing },
    identity: testIdentity,
    pluginVersion: "0.1.0",
    policy: testPolicy,
    onEvent: () => {},
  });
}

async function write(error: Error): Promise<unknown> {
  try {
    return await registryWhoseStoreThrows(error).write(undefined, testFirstContent, never);
  } catch (thrown) {
    return { thrown };
  }
}

test("an error that is not the store's own is thrown", async () => {
  const error = new TypeError("a defect");
  expect(await write(error)).toEqual({ thrown: error });
});

test("an error of the store is a value", async () => {
  const problem = refusal("registry_torn", NODE_STATE_PATH);
  expect(await write(problem)).toEqual({ problem });
});
