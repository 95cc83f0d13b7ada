import { describe, expect, test } from "bun:test";
import { ERROR_CLASSES } from "../base/error-class.ts";
import {
  exitsAfterFailedStart,
  READY,
  type ReadinessParts,
  readinessReply,
  type StartState,
} from "./readiness.ts";

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

const late: StartState = {
  elapsedMs: 60_000,
  graceMs: 60_000,
  registryLoaded: true,
  failure: { errorClass: "openbao_unavailable", code: "connect_refused" },
};

describe("exitsAfterFailedStart", () => {
  test.each([...ERROR_CLASSES])("never within the grace: %s", (errorClass) => {
    const failure = { errorClass, code: "any" };
    for (const registryLoaded of [true, false]) {
      expect(exitsAfterFailedStart({ ...late, elapsedMs: 59_999, registryLoaded, failure })).toBe(false);
    }
  });

  test.each([...ERROR_CLASSES])("without a registry it leaves after the grace: %s", (errorClass) => {
    expect(
      exitsAfterFailedStart({ ...late, registryLoaded: false, failure: { errorClass, code: "any" } }),
    ).toBe(true);
  });

  test.each([
    "openbao_unavailable",
    "openbao_sealed",
    "openbao_rate_limited",
    "timeout",
    "token_device",
  ] as const)(
    "with a registry it waits for an OpenBao that is away, or a PKCS#11 token that does not serve: %s",
    (errorClass) => {
      const failure = { errorClass, code: "any" };
      expect(exitsAfterFailedStart({ ...late, elapsedMs: 1e9, failure })).toBe(false);
    },
  );

  test.each(["auth_failed", "auth_expired", "transit_key_missing", "transit_policy_denied"] as const)(
    "with a registry it leaves for what a person must fix: %s",
    (errorClass) => {
      expect(exitsAfterFailedStart({ ...late, failure: { errorClass, code: "any" } })).toBe(true);
    },
  );

  test("a server with another name or another CA is not waited for", () => {
    for (const code of ["tls_name_mismatch", "tls_untrusted"]) {
      expect(exitsAfterFailedStart({ ...late, failure: { errorClass: "openbao_unavailable", code } })).toBe(
        true,
      );
    }
  });

  test("a node that observes the key is not restarted for it", () => {
    const failure = { errorClass: "status_stale", code: "registry_observing" } as const;
    expect(exitsAfterFailedStart({ ...late, registryLoaded: false, failure })).toBe(false);
  });

  test("nothing has failed yet", () => {
    expect(exitsAfterFailedStart({ ...late, failure: undefined, registryLoaded: false })).toBe(false);
  });
});
