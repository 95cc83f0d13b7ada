import { describe } from "bun:test";
import { makeFakeOpenBao } from "../fakes/openbao/fake-openbao.ts";
import { serveFakeOpenBao } from "../fakes/openbao/fake-server.ts";
import { operator } from "../fakes/openbao/operator.ts";
import { startOpenBao, startRaftCluster } from "../harness/openbao.ts";
import { describeReal } from "../harness/real-suite.ts";
import { openBaoContract } from "./openbao-contract.ts";
import { standbyContract } from "./standby-contract.ts";

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
