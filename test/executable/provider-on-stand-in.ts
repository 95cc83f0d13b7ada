/**
 * @module The compiled executable on a stand-in that serves TLS in this process. Set-up and its undoing for the suites beside.
 */
import { type FakeOpenBao, makeFakeOpenBao } from "../fakes/openbao/fake-openbao.ts";
import { serveFakeOpenBao } from "../fakes/openbao/fake-server.ts";
import { makeJwtIssuer } from "../fakes/openbao/jwt-issuer.ts";
import { operator } from "../fakes/openbao/operator.ts";
import { provision } from "../fakes/openbao/provision.ts";
import { type ProviderOptions, prepareProvider } from "../harness/provider.ts";

/** Started, and its Status is `ok`. */
export async function startOnStandIn(
  config: NonNullable<ProviderOptions["config"]>,
  openbao: FakeOpenBao = makeFakeOpenBao(),
  env: NonNullable<ProviderOptions["env"]> = {},
) {
  const server = await serveFakeOpenBao(openbao);
  const issuer = makeJwtIssuer();
  const names = await provision(operator(server, openbao.rootToken), issuer.publicKeyPem);
  const provider = await prepareProvider({ openbao: server, names, issuer, config, env });
  const dispose = async (): Promise<void> => {
    await provider.dispose();
    await server.stop();
  };
  try {
    await provider.start();
  } catch (error) {
    await dispose();
    throw error;
  }
  return { openbao, names, provider, dispose };
}

export type ProviderOnStandIn = Awaited<ReturnType<typeof startOnStandIn>>;
