/**
 * @module What a provider meets when the node it calls is a standby. Like openbao.contract.test.ts, for two nodes of one
 * cluster.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { objectAt, textAt } from "../fakes/openbao/json-at.ts";
import { identityClaims, makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import type { Operator } from "../fakes/openbao/operator.ts";
import { type Provisioning, provision } from "../fakes/openbao/provision.ts";
import { eventually } from "../harness/eventually.ts";
import { base64 } from "./contract-context.ts";

export interface ClusterUnderTest {
  readonly active: Operator;
  readonly standby: Operator;
  readonly dispose: () => Promise<void>;
}

const SETUP_TIMEOUT_MS = 90_000;
const LAG_TIMEOUT_MS = 15_000;

export function standbyContract(start: () => Promise<ClusterUnderTest>): void {
  const issuer = makeJwtIssuer();
  let cluster: ClusterUnderTest;
  let names: Provisioning;
  const key = "transit/keys/kubernetes";
  const latestAt = async (node: Operator): Promise<unknown> =>
    objectAt((await node.call("GET", key)).body, "data")["latest_version"];

  beforeAll(async () => {
    cluster = await start();
    names = await provision(cluster.active, issuer.publicKeyPem);
  }, SETUP_TIMEOUT_MS);
  afterAll(() => cluster.dispose());

  test("sys/health tells the nodes apart", async () => {
    const status = async (node: Operator, query = ""): Promise<number> =>
      (await node.call("GET", `sys/health${query}`)).status;
    expect([await status(cluster.active), await status(cluster.standby)]).toEqual([200, 429]);
    expect(await status(cluster.standby, "?standbyok=true")).toBe(200);
    expect((await cluster.standby.call("GET", "sys/health")).body).toMatchObject({
      initialized: true,
      sealed: false,
      standby: true,
    });
  });
  test("a login through the standby gives a token that both know", async () => {
    const jwt = issuer.sign(identityClaims(names, Date.now()));
    const token = await eventually(
      "the standby knows the role",
      async () => {
        const { body } = await cluster.standby.call(
          "POST",
          "auth/jwt/login",
          { role: names.role, jwt },
          { token: "" },
        );
        const text = textAt(body, "auth", "client_token");
        return text === "" ? undefined : text;
      },
      { timeoutMs: LAG_TIMEOUT_MS },
    );
    for (const node of [cluster.active, cluster.standby]) {
      await eventually(
        "the token is known",
        async () => (await node.call("GET", key, undefined, { token })).status === 200,
        {
          timeoutMs: LAG_TIMEOUT_MS,
        },
      );
    }
  });
  test("what one node encrypts, the other decrypts", async () => {
    for (const [from, to] of [
      [cluster.active, cluster.standby],
      [cluster.standby, cluster.active],
    ] as const) {
      const sealed = await from.must("POST", "transit/encrypt/kubernetes", {
        plaintext: base64("x"),
        key_version: 1,
      });
      const opened = await to.must("POST", "transit/decrypt/kubernetes", {
        ciphertext: textAt(sealed, "data", "ciphertext"),
      });
      expect(textAt(opened, "data", "plaintext")).toBe(base64("x"));
    }
  });
  test("a rotation through either node reaches both", async () => {
    for (const [version, node] of [
      [2, cluster.active],
      [3, cluster.standby],
    ] as const) {
      await node.must("POST", `${key}/rotate`, {});
      for (const reader of [cluster.active, cluster.standby]) {
        await eventually("the new version is seen", async () => (await latestAt(reader)) === version, {
          timeoutMs: LAG_TIMEOUT_MS,
        });
      }
    }
  });
}
