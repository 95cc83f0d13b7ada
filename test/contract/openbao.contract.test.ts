/**
 * What a provider relies on when it talks to OpenBao: one suite on the stand-in and on a real OpenBao, so that the stand-in
 * cannot lie. Each table row in the parts is a request, and the status and error text that both must give.
 */
import { afterAll, beforeAll, describe } from "bun:test";
import { makeFakeOpenBao } from "../fakes/openbao/fake-openbao.ts";
import { serveFakeOpenBao } from "../fakes/openbao/fake-server.ts";
import { operator } from "../fakes/openbao/operator.ts";
import { startOpenBao, startRaftCluster } from "../harness/openbao.ts";
import { describeReal } from "../harness/real-suite.ts";
import { capabilitiesContract, namespacesContract } from "./access-contract.ts";
import { contractContext, type OpenBaoUnderTest } from "./contract-context.ts";
import { batchContract, encryptDecryptContract } from "./encrypt-decrypt-contract.ts";
import { envelopeContract, sealContract } from "./envelope-contract.ts";
import { keyMetadataContract } from "./key-metadata-contract.ts";
import { appRoleContract, jwtLoginContract } from "./login-contract.ts";
import { standbyContract } from "./standby-contract.ts";
import { tokensContract } from "./tokens-contract.ts";

function openBaoContract(start: () => Promise<OpenBaoUnderTest>): void {
  const context = contractContext();
  beforeAll(async () => context.begin(await start()));
  afterAll(() => context.openbao.dispose());

  envelopeContract(context);
  keyMetadataContract(context);
  encryptDecryptContract(context);
  batchContract(context);
  jwtLoginContract(context);
  tokensContract(context);
  capabilitiesContract(context);
  appRoleContract(context);
  namespacesContract(context);
  sealContract(context);
}

describe("OpenBao contract: stand-in", () => {
  openBaoContract(async () => {
    const openbao = makeFakeOpenBao();
    const server = await serveFakeOpenBao(openbao);
    const setSealed = async (sealed: boolean): Promise<void> => {
      openbao.state.sealed = sealed;
    };
    return {
      operator: operator(server, openbao.rootToken),
      seal: () => setSealed(true),
      unseal: () => setSealed(false),
      dispose: server.stop,
    };
  });
});

describeReal("OpenBao contract: real", { needs: ["bao"] }, (binary) => {
  openBaoContract(() => startOpenBao(binary("bao")));
});

describe("OpenBao contract: a standby of the stand-in", () => {
  standbyContract(async () => {
    const openbao = makeFakeOpenBao();
    const active = await serveFakeOpenBao(openbao);
    const standby = await serveFakeOpenBao(openbao.standby());
    return {
      active: operator(active, openbao.rootToken),
      standby: operator(standby, openbao.rootToken),
      dispose: async () => {
        await Promise.all([active.stop(), standby.stop()]);
      },
    };
  });
});

describeReal("OpenBao contract: a real standby", { needs: ["bao"], long: true }, (binary) => {
  standbyContract(async () => {
    const cluster = await startRaftCluster(binary("bao"));
    const leader = await cluster.leader();
    const standby = cluster.nodes.find((node) => node !== leader) ?? leader;
    return { active: leader.operator, standby: standby.operator, dispose: cluster.dispose };
  });
});
