import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { type Failure, serveWorkloadApi, type WorkloadApi } from "../../../test/fakes/spiffe/workload-api.ts";
import { systemClock } from "../../base/clock.ts";
import { ProviderError } from "../../base/error-class.ts";
import { decodeJwtClaims } from "./jwt-claims.ts";
import { type SpiffeSourceOptions, spiffeSource } from "./spiffe-source.ts";

const ID = "spiffe://example.org/openbao-kms";
let dir: string;
let agent: WorkloadApi;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "spiffe-"));
  agent = await serveWorkloadApi(join(dir, "api.sock"), ID);
});
afterAll(async () => {
  await agent.stop();
  rmSync(dir, { recursive: true });
});

const source = (options: Partial<SpiffeSourceOptions> = {}) =>
  spiffeSource({
    socketPath: agent.socketPath,
    audience: "openbao",
    spiffeId: ID,
    timeoutMs: 1000,
    clock: systemClock,
    ...options,
  });

const signal = (): AbortSignal => new AbortController().signal;

async function failure(options: Partial<SpiffeSourceOptions> = {}): Promise<ProviderError> {
  const error: unknown = await source(options)
    .get(signal())
    .catch((each: unknown) => each);
  if (!(error instanceof ProviderError)) {
    throw new TypeError(`not a ProviderError: ${Bun.inspect(error)}`);
  }
  return error;
}

describe("a JWT-SVID", () => {
  test("is asked for with the audience and is the pinned identity's; each time a new one", async () => {
    const reports: unknown[] = [];
    const from = source({ observer: (operation, _, error) => reports.push(operation, error) });
    const first = await from.get(signal());
    agent.rotate();
    const second = await from.get(signal());
    expect(decodeJwtClaims(first.expose())).toMatchObject({ claims: { subject: ID, audience: ["openbao"] } });
    expect(second.expose()).not.toBe(first.expose());
    expect(reports).toEqual(["spiffe_fetch", undefined, "spiffe_fetch", undefined]);
  });

  const failures: readonly [Failure, string, string][] = [
    [Code.PermissionDenied, "spiffe_denied", "auth_failed"],
    [Code.InvalidArgument, "spiffe_refused", "auth_failed"],
    [Code.Unavailable, "spiffe_unreachable", "openbao_unavailable"],
    [Code.Internal, "spiffe_unreachable", "openbao_unavailable"],
    ["none", "spiffe_wrong_identity", "auth_failed"],
    ["foreign_identity", "spiffe_wrong_identity", "auth_failed"],
    ["foreign_claims", "spiffe_wrong_identity", "auth_failed"],
    ["hang_up", "spiffe_unreachable", "openbao_unavailable"],
  ];
  test.each(failures)("agent: %p is %s; well again afterwards", async (how, code, errorClass) => {
    agent.fail(how);
    expect(await failure()).toMatchObject({ code, errorClass });
    agent.fail(undefined);
    expect((await source().get(signal())).expose()).toMatch(/^ey/);
  });

  test("an agent that hangs costs the timeout", async () => {
    agent.fail("hang");
    expect(await failure({ timeoutMs: 30 })).toMatchObject({ code: "spiffe_timeout", errorClass: "timeout" });
    agent.fail(undefined);
  });

  test("is made for each login, so that none is stored", () => {
    expect(source().isStored).toBe(false);
  });

  test("that is not given is reported once, with why", async () => {
    const reports: unknown[] = [];
    agent.fail(Code.PermissionDenied);
    const error = await failure({ observer: (operation, _, cause) => reports.push(operation, cause) });
    agent.fail(undefined);
    expect(reports).toEqual(["spiffe_fetch", error]);
  });

  test("no agent, or something else at the socket", async () => {
    expect(await failure({ socketPath: join(dir, "none.sock") })).toMatchObject({
      code: "spiffe_unreachable",
    });
    writeFileSync(join(dir, "file.sock"), "");
    expect(await failure({ socketPath: join(dir, "file.sock") })).toMatchObject({
      code: "spiffe_unreachable",
    });
  });
});
