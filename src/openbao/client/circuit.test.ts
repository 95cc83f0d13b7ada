/** When calls stop being made, and when they start again. */
import { describe, expect, test } from "bun:test";
import { A, type Answer, error, OK, SEALED, scriptedOpenBao } from "../../../test/fakes/scripted-openbao.ts";
import type { HttpRequest } from "../../http/https.ts";

describe("circuit", () => {
  test("failures open it, refusals never do, and then calls cost nothing", async () => {
    const { codeOf, asked, reports } = scriptedOpenBao({ [A]: "connect_refused" });
    for (let call = 0; call < 7; call += 1) {
      await codeOf();
    }
    expect(asked).toHaveLength(5);
    expect(await codeOf()).toBe("circuit_open");
    expect(reports).toHaveLength(5);
    for (const refusal of [400, 401, 403, 404]) {
      const refused = scriptedOpenBao({ [A]: error(refusal) });
      for (let call = 0; call < 20; call += 1) {
        await refused.codeOf();
      }
      expect(refused.asked).toHaveLength(20);
    }
  });

  test("keeps the class of what opened it", async () => {
    const { ask, codeOf } = scriptedOpenBao({ [A]: SEALED });
    for (let call = 0; call < 5; call += 1) {
      await codeOf();
    }
    expect(await ask().catch((each: unknown) => each)).toMatchObject({
      code: "circuit_open",
      errorClass: "openbao_sealed",
    });
  });

  test("follows Retry-After at once, and recovers by itself", async () => {
    const { codeOf, clock, asked } = scriptedOpenBao({
      [A]: [{ status: 429, headers: { "retry-after": "3" }, body: { errors: [] } }, OK],
    });
    expect(await codeOf()).toBe("rate_limited");
    await clock.advance(2999);
    expect(await codeOf()).toBe("circuit_open");
    await clock.advance(1);
    expect(await codeOf()).toBe("ok");
    expect(asked).toHaveLength(2);
  });

  test("callers that give up early say nothing about OpenBao; after a second of silence they do", async () => {
    const hang = (request: HttpRequest): Promise<Answer> =>
      new Promise((resolve) => request.signal.addEventListener("abort", () => resolve("canceled")));
    const { codeOf, clock, asked } = scriptedOpenBao({ [A]: hang });
    const giveUpAfter = async (ms: number): Promise<void> => {
      const caller = new AbortController();
      const answer = codeOf({ signal: caller.signal });
      await clock.advance(ms);
      caller.abort();
      expect(await answer).toBe("canceled");
    };
    for (let call = 0; call < 10; call += 1) {
      await giveUpAfter(10);
    }
    for (let call = 0; call < 5; call += 1) {
      await giveUpAfter(1000);
    }
    expect(asked).toHaveLength(15);
    expect(await codeOf()).toBe("circuit_open");
  });
});
