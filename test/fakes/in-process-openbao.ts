/**
 * @module Our OpenBao client in front of the stand-in, without a socket and on a manual clock. For tests of the layers above
 * the transport: transit/, auth/. TLS and connections are tested in transport/.
 */
import { createHttpTransport, type FetchSession } from "../../src/http/https.ts";
import { type CallReport, createOpenBaoClient } from "../../src/openbao/client/client.ts";
import { OPENBAO_NAMES } from "../../src/provider/transit-access.ts";
import { manualClock } from "./manual-clock.ts";
import { fakeFetch } from "./openbao/fake-fetch.ts";
import { type FakeOpenBao, makeFakeOpenBao } from "./openbao/fake-openbao.ts";
import { identityClaims, makeJwtIssuer } from "./openbao/jwt-issuer.ts";
import { type Operator, operatorWith } from "./openbao/operator.ts";
import { type Provisioning, provision } from "./openbao/provision.ts";

export async function inProcessOpenBao(overrides: Partial<Provisioning> = {}) {
  const clock = manualClock();
  const fake = makeFakeOpenBao({ now: () => clock.wallMs() });
  const operator = operatorOf(fake);
  const issuer = makeJwtIssuer();
  const names = await provision(operator, issuer.publicKeyPem, overrides);
  const fetch = fakeFetch(fake, () => clock.wallMs());
  const session: FetchSession = {
    fetch: (input, init) => fetch(input instanceof Request ? input.url : input, init),
    close: () => {},
  };
  const reports: CallReport[] = [];
  const openbao = createOpenBaoClient({
    transport: createHttpTransport({
      names: OPENBAO_NAMES,
      trust: { pem: () => "", refresh: async () => false },
      serverName: "localhost",
      clock,
      openSession: () => session,
    }),
    clock,
    addresses: ["https://openbao.test:8200"],
    namespace: names.namespace,
    timeoutMs: 2000,
    observer: { onCall: (report) => reports.push(report) },
  });
  return {
    clock,
    fake,
    operator,
    openbao,
    reports,
    names,
    /** A good JWT for the provisioned role, with its lifetime. */
    jwt: (lifetimeSeconds?: number) => issuer.sign(identityClaims(names, clock.wallMs(), lifetimeSeconds)),
  };
}

/** The operator's client of openbao/operator.ts, without a socket. */
function operatorOf(fake: FakeOpenBao): Operator {
  const call: Operator["call"] = async (method, path, body, options = {}) => {
    const { reply } = fake.handle({
      method,
      target: `/v1/${path}`,
      headers: {
        "x-vault-token": options.token ?? fake.rootToken,
        ...(options.namespace === undefined ? {} : { "x-vault-namespace": options.namespace }),
        ...(options.wrapTtl === undefined ? {} : { "x-vault-wrap-ttl": options.wrapTtl }),
      },
      body: body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body),
    });
    return { status: reply.status, body: reply.body ?? {}, headers: new Headers() };
  };
  return operatorWith(call);
}
