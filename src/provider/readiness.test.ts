import { describe, expect, test } from "bun:test";
import { READY, type ReadinessParts, readinessReply } from "./readiness.ts";

const well: ReadinessParts = {
  auth: READY,
  metadata: READY,
  key: READY,
  status: READY,
  socket: READY,
  process: READY,
};

describe("readinessReply", () => {
  test("200 when every part is ready", () => {
    expect(readinessReply(well).status).toBe(200);
    expect(JSON.parse(readinessReply(well).body)).toMatchObject({ ready: true });
  });

  test.each(Object.keys(well))("503 when %s is not, with its class", (part) => {
    const reply = readinessReply({ ...well, [part]: { state: "failing", errorClass: "timeout" } });
    expect(reply.status).toBe(503);
    expect(JSON.parse(reply.body)).toMatchObject({
      ready: false,
      parts: { [part]: { state: "failing", error_class: "timeout" } },
    });
  });
});
