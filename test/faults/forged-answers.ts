/**
 * Answers that need OpenBao's own certificate: each request goes to the real OpenBao, and its answer is spoiled.
 *
 * @module The stand-in's server, with the faults of test/fakes/openbao/faults.ts.
 */
import type { FakeRequest } from "../fakes/openbao/call.ts";
import { serveFakeOpenBao } from "../fakes/openbao/fake-server.ts";
import type { Fault } from "../fakes/openbao/faults.ts";
import type { Reply } from "../fakes/openbao/reply.ts";
import type { Leaf } from "../fakes/tls/test-ca.ts";
import type { RealOpenBao } from "../harness/openbao.ts";

/** The fault of the n-th request from now, counted from 0. */
type Choose = (request: number) => Fault | undefined;

/** Without a leaf it has a good one of OpenBao's CA. */
export async function openForgedAnswers(openbao: RealOpenBao, certificate?: Leaf) {
  const leaf = certificate ?? (await openbao.ca.server());
  let choose: Choose = () => undefined;
  let requests = 0;
  const handle = async (request: FakeRequest) => {
    const fault = choose(requests);
    requests += 1;
    return { reply: await passOn(openbao, request), fault };
  };
  const server = await serveFakeOpenBao({ handle }, { tls: { caPem: openbao.caPem, leaf } });
  return {
    port: server.port,
    forge: (next: Choose) => {
      choose = next;
      requests = 0;
    },
    close: server.stop,
  };
}

async function passOn({ address, caPem }: RealOpenBao, request: FakeRequest): Promise<Reply> {
  const { method, target, body } = request;
  const headers = Object.entries(request.headers).filter(([name]) => name.startsWith("x-vault-"));
  const real = await fetch(`${address}${target}`, {
    method,
    headers: Object.fromEntries(headers.map(([name, value]) => [name, String(value)])),
    ...(body === "" ? {} : { body }),
    tls: { ca: caPem },
    signal: AbortSignal.timeout(5000),
  });
  const text = await real.text();
  return { status: real.status, body: text === "" ? undefined : JSON.parse(text) };
}
