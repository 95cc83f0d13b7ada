/** OpenBao, etcd and kube-apiserver with a certificate that Bun's TLS refuses, and etcd that asks for no client certificate. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { etcdEndpoint } from "../../src/etcd/reader/endpoint.ts";
import { runAudit } from "../../src/etcd/run-audit.ts";
import { TransportError } from "../../src/http/errors.ts";
import { createHttpTransport } from "../../src/http/https.ts";
import { type Leaf, makeTestCa, type TestCa } from "../fakes/tls/test-ca.ts";
import { startChild } from "../harness/child.ts";
import { startEtcd } from "../harness/etcd.ts";
import { eventually } from "../harness/eventually.ts";
import { freePorts } from "../harness/free-port.ts";
import { encryptionConfiguration, startKubeApiServer } from "../harness/kube-apiserver.ts";
import { startOpenBao } from "../harness/openbao.ts";
import { describeReal } from "../harness/real-suite.ts";

const signal = new AbortController().signal;
const SNI = "kube.example.com";

/** As public how-tos make it: RSA, and keyUsage without digitalSignature. */
const withoutSignature = (ca: TestCa, dnsNames?: readonly string[]): Promise<Leaf> =>
  ca.server({
    keyType: "rsa-2048",
    keyUsage: "keyEncipherment",
    ...(dnsNames === undefined ? {} : { dnsNames }),
  });

/** The code with which a request over HTTPS fails, or its status. */
async function outcome(caPem: string, url: string, serverName: string): Promise<string | number> {
  const transport = createHttpTransport({
    names: { what: "the server", addressField: "address", caField: "ca", serverNameField: "name" },
    trust: { pem: () => caPem, refresh: () => Promise.resolve(false) },
    serverName,
    clock: systemClock,
  });
  try {
    const request = { method: "GET", url, headers: {}, signal, timeoutMs: 5000, maxBytes: 65_536 } as const;
    return (await transport.request(request)).status;
  } catch (error) {
    return error instanceof TransportError ? error.code : String(error);
  } finally {
    transport.close();
  }
}

describeReal(
  "a certificate whose keyUsage lacks digitalSignature",
  { needs: ["bao", "etcd", "kube-apiserver"] },
  (binary) => {
    const dir = mkdtempSync(join(tmpdir(), "server-certificate-"));
    const path = (name: string): string => join(dir, name);
    let ca: TestCa;
    beforeAll(async () => {
      ca = await makeTestCa();
      writeFileSync(path("ca.crt"), ca.certPem);
    });
    afterAll(() => rmSync(dir, { recursive: true, force: true }));

    const write = ({ chainPem, keyPem }: Leaf): void => {
      writeFileSync(path("server.crt"), chainPem);
      writeFileSync(path("server.key"), keyPem, { mode: 0o600 });
    };

    test("OpenBao: the cause is named", async () => {
      const openbao = await startOpenBao(binary("bao"));
      try {
        const url = `${openbao.address}/v1/sys/health`;
        expect(await outcome(openbao.caPem, url, "localhost")).toBe(200);
        await openbao.replaceCertificate(await withoutSignature(openbao.ca));
        const code = await eventually(
          "OpenBao has its new certificate",
          async () => {
            const found = await outcome(openbao.caPem, url, "localhost");
            return found === 200 ? undefined : found;
          },
          { timeoutMs: 10_000 },
        );
        expect(code).toBe("tls_key_usage");
      } finally {
        await openbao.dispose();
      }
    }, 60_000);

    test("kube-apiserver: the cause is named", async () => {
      const etcd = await startEtcd(binary("etcd"));
      write(await withoutSignature(ca, [SNI]));
      const api = await startKubeApiServer(binary("kube-apiserver"), {
        etcdAddress: etcd.address,
        kmsSocketPath: "/unused",
        kmsName: "unused",
        encryptionConfig: encryptionConfiguration(["secrets"], [{ identity: {} }]),
        extraFlags: [`--tls-sni-cert-key=${path("server.crt")},${path("server.key")}:${SNI}`],
      });
      try {
        expect(await outcome(ca.certPem, `${api.address}/livez`, SNI)).toBe("tls_key_usage");
      } finally {
        await api.dispose();
        await etcd.dispose();
      }
    }, 120_000);

    describe("etcd with TLS and without client certificates", () => {
      async function auditOf(leaf: Leaf): Promise<string | number> {
        write(leaf);
        const [port = 0, peerPort = 0] = await freePorts(2);
        const [url, peer] = [`https://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
        const etcd = startChild(
          binary("etcd"),
          [
            `--data-dir=${path(`data-${port}`)}`,
            `--listen-client-urls=${url}`,
            `--advertise-client-urls=${url}`,
            `--listen-peer-urls=${peer}`,
            `--initial-advertise-peer-urls=${peer}`,
            `--initial-cluster=default=${peer}`,
            `--cert-file=${path("server.crt")}`,
            `--key-file=${path("server.key")}`,
            "--unsafe-no-fsync",
          ],
          { cwd: dir },
        );
        const endpoint = etcdEndpoint(
          url,
          { ca: Buffer.from(ca.certPem), client: undefined },
          { timeoutMs: 3000, maxAnswerBytes: 65_536 },
        );
        try {
          await eventually("etcd serves", () => etcd.output().includes("serving client traffic"), {
            timeoutMs: 20_000,
          });
          const audit = await runAudit(
            { kind: "etcd", endpoints: [endpoint], objectsPerSecond: 1e9 },
            { prefix: "/registry", knownKeyIds: new Map(), clock: systemClock, signal, onProgress: () => {} },
          );
          return audit.objects;
        } catch (error) {
          return String(error);
        } finally {
          endpoint.close();
          await etcd.kill();
        }
      }

      test("a CA alone is enough", async () => {
        expect(await auditOf(await ca.server())).toBe(0);
      }, 60_000);

      test("the cause is named", async () => {
        expect(await auditOf(await withoutSignature(ca))).toContain("digitalSignature");
      }, 60_000);
    });
  },
);
