/** OpenBao's certificate, its CA, and its name. */
import { type Leaf, makeTestCa } from "../../fakes/tls/test-ca.ts";
import { eventually } from "../../harness/eventually.ts";
import { openWire } from "../../harness/wire.ts";
import { ANY, type Fault, FINE, OUT } from "../fault.ts";
import { openForgedAnswers } from "../forged-answers.ts";
import type { World } from "../world.ts";

const LONG_MS = 40_000;
/** The old address is remembered for 5 s, and a circuit that opened meanwhile is tried again. */
const FOLLOWED_MS = 20_000;

/**
 * A server with another certificate answers in OpenBao's place: a server of its own, because the real one would resume the
 * TLS sessions that it began under its right certificate, without showing another (RFC 8446, section 2.2).
 */
const answeredWith = async ({ openbao, wire }: World, leaf: Leaf) => {
  const other = await openForgedAnswers(openbao, leaf);
  await wire.route({ kind: "to", port: other.port });
  return async () => {
    await wire.repair();
    await other.close();
  };
};

const works = (what: string, { client }: World["provider"]): Promise<boolean> =>
  eventually(
    `it works ${what}`,
    async () => {
      const sealed = await client.encrypt(new Uint8Array(32));
      await client.decrypt(sealed);
      return (await client.status()).healthz === "ok";
    },
    { timeoutMs: FOLLOWED_MS },
  );

const serveWith = async ({ openbao, wire }: World, leaf: Leaf): Promise<void> => {
  await openbao.replaceCertificate(leaf);
  await Bun.sleep(200);
  await wire.repair();
};

export const trustAndNames: readonly Fault[] = [
  {
    id: "certificate-renewed",
    title: "Certificate renewed under the same CA",
    expect: FINE,
    cause: async (world) => serveWith(world, await world.openbao.ca.server()),
  },
  {
    id: "ca-rotated",
    title:
      "CA rotated with overlap: both in the bundle, then the new certificate, then only the new CA; and back",
    expect: ANY,
    cause: async (world) => {
      const { openbao, provider } = world;
      const next = await makeTestCa({ commonName: "next CA" });
      provider.writeCa(openbao.caPem + next.certPem);
      await serveWith(world, await next.server());
      await works("under the new CA", provider);
      provider.writeCa(next.certPem);
      await works("without the old CA", provider);
      return async () => {
        provider.writeCa(next.certPem + openbao.caPem);
        await serveWith(world, await openbao.ca.server());
        provider.writeCa(openbao.caPem);
      };
    },
  },
  {
    id: "ca-removed",
    title: "OpenBao's CA taken out of the bundle, SIGHUP; and put in again",
    expect: OUT,
    cause: async ({ openbao, provider }) => {
      provider.writeCa((await makeTestCa({ commonName: "another CA" })).certPem);
      provider.signal("SIGHUP");
      return () => {
        provider.writeCa(openbao.caPem);
        provider.signal("SIGHUP");
      };
    },
  },
  {
    id: "ca-unknown",
    title: "A certificate of a CA that is not in the bundle, and the right one again",
    expect: OUT,
    cause: async (world) => {
      const stranger = await makeTestCa({ commonName: "a stranger" });
      return answeredWith(world, await stranger.server());
    },
  },
  {
    id: "certificate-other-name",
    title: "A certificate without the name in openbao.tlsServerName, and the right one again",
    expect: OUT,
    cause: async (world) =>
      answeredWith(
        world,
        await world.openbao.ca.server({
          commonName: "elsewhere.test",
          dnsNames: ["elsewhere.test"],
          ipAddresses: [],
        }),
      ),
  },
  {
    id: "dns-gone",
    title: "Its name is gone (NXDOMAIN) and every connection with it, and comes back",
    expect: OUT,
    ownMachine: true,
    lastsMs: LONG_MS,
    cause: async ({ nameServer, wire }) => {
      nameServer?.answer({ kind: "nxdomain" });
      await wire.route({ kind: "refused" });
      await Bun.sleep(1000);
      return async () => {
        await wire.repair();
        nameServer?.answer({ kind: "address", address: "127.0.0.1" });
      };
    },
  },
  {
    id: "dns-silent",
    title: "Its name server does not answer, and every connection is cut; then it answers",
    expect: ANY,
    ownMachine: true,
    lastsMs: LONG_MS,
    shortMs: 2000,
    cause: async ({ nameServer, wire }) => {
      nameServer?.answer({ kind: "silence" });
      await wire.repair();
      return () => nameServer?.answer({ kind: "address", address: "127.0.0.1" });
    },
  },
  {
    id: "dns-changed",
    title: "OpenBao moved to another address under its name, and is followed; then back",
    expect: ANY,
    ownMachine: true,
    lastsMs: LONG_MS,
    shortMs: 2000,
    cause: async ({ nameServer, wire, openbao, provider }) => {
      const port = Number(new URL(openbao.address).port);
      nameServer?.answer({ kind: "address", address: "127.0.0.2" });
      await wire.route({ kind: "refused" });
      const elsewhere = await openWire(port, "127.0.0.2", wire.port);
      await works("at its new address", provider);
      return async () => {
        nameServer?.answer({ kind: "address", address: "127.0.0.1" });
        await elsewhere.close();
        await wire.repair();
      };
    },
  },
];
