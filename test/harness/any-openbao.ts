/**
 * @module An OpenBao of either kind, real or stand-in, that can be taken away and brought back. For what must run on a machine
 * without the real one, as the demo does. Data outlives `stop`.
 */
import { makeFakeOpenBao } from "../fakes/openbao/fake-openbao.ts";
import { type FakeServer, serveFakeOpenBao } from "../fakes/openbao/fake-server.ts";
import { type Operator, operator } from "../fakes/openbao/operator.ts";
import { startOpenBao } from "./openbao.ts";

export interface AnyOpenBao {
  readonly address: string;
  readonly caPem: string;
  readonly operator: Operator;
  /** Connections are cut and refused from then on. */
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
  readonly dispose: () => Promise<void>;
}

/** The real one when a binary is given, else the stand-in in this process. */
export async function startAnyOpenBao(binary: string | undefined): Promise<AnyOpenBao> {
  if (binary !== undefined) {
    const real = await startOpenBao(binary);
    return { ...real, stop: real.kill };
  }
  const openbao = makeFakeOpenBao();
  let server: FakeServer = await serveFakeOpenBao(openbao);
  return {
    address: server.address,
    caPem: server.caPem,
    operator: operator(server, openbao.rootToken),
    stop: () => server.stop(),
    start: async () => {
      server = await serveFakeOpenBao(openbao, { port: server.port, tls: server.tls });
    },
    dispose: () => server.stop(),
  };
}
