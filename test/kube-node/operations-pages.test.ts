/**
 * The runbooks of docs/operations on a control-plane node that kubeadm made, with its paths and permissions: from aescbc to this
 * provider, a rotation, a lost registry, an outage.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { eventually } from "../harness/eventually.ts";
import { codeOf } from "../harness/kms-client.ts";
import { releaseTools } from "../packaging/artefacts.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { paths } from "../systemd/provider-machine.ts";
import { describeOnMachine } from "../systemd/systemd-suite.ts";
import { nodeTimeoutMs, nodeTools } from "./kube-node.ts";
import { operatorOf } from "./operator.ts";
import { configureApiServer, notOurs, readSecrets, untilReloaded, writeSecrets } from "./provider-node.ts";
import { newSystemdNode, type SystemdNode } from "./systemd-node.ts";

setDefaultTimeout(nodeTimeoutMs);

const NODE_REPORT = "rotation/node-kms-test.json";
const encryption = "/etc/kubernetes/encryption";
/** What kube-apiserver encrypts with before this provider. */
const AESCBC = `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - aescbc:
          keys:
            - name: one
              secret: ${Buffer.alloc(32, 7).toString("base64")}
      - identity: {}
`;
/** kube-apiserver asks for Status once a minute. */
const STATUS_TIMEOUT_MS = 100_000;
/** The provider reads a registry that a command has changed at its next probe. */
const REGISTRY_TIMEOUT_MS = 10_000;
const MINUTES_6_MS = 360_000;

describeOnMachine(
  "operations pages on a kubeadm node",
  { ...releaseTools, ...nodeTools },
  () => {
    let made: SystemdNode;
    let node: SystemdNode["node"];
    let host: SystemdNode["host"];
    let page: ReturnType<typeof operatorOf>;

    const file = (path: string): string => readFileSync(node.machine.path(`/root/${path}`), "utf8");
    const report = async (): Promise<{ keyId: string; removedVersions: readonly number[] }> => {
      await page.good("rotation.md#probe");
      return JSON.parse(file(NODE_REPORT));
    };
    /** Objects by the key_id that the evidence of an audit has them under. */
    const objectsIn = (evidence: string): ReadonlyMap<string, number> => {
      const [audit]: readonly { keyIds: readonly { keyId: string; objects: number }[] }[] = JSON.parse(
        file(evidence),
      ).audits;
      return new Map(audit?.keyIds.map(({ keyId, objects }) => [keyId, objects]));
    };
    /** Every file of the state is still the service's: the commands run as root. */
    const expectServiceOwnsState = async (): Promise<void> => {
      const owners = await node.machine.must("stat -c %U /var/lib/openbao-kms/state/* | sort -u");
      expect(owners).toBe("openbao-kms");
    };

    beforeAll(async () => {
      // Promoted within seconds; all else is the sample's.
      made = await newSystemdNode({ "status.probeInterval": "2s", "rotation.activationDelay": "5s" });
      ({ node, host } = made);
      page = operatorOf(made);
      await node.machine.must(`install -d -m 0700 ${encryption}`);
      node.machine.put(`${encryption}/encryption-config.yaml`, AESCBC, 0o600);
      await configureApiServer(node);
      await writeSecrets(node);
    });
    afterAll(() => made?.dispose());

    test("migrating.md: from aescbc, with kubeadm's own permissions on etcd's keys", async () => {
      expect(await node.machine.must("stat -c '%U:%G %a' /etc/kubernetes/pki/etcd/*.key | sort -u")).toBe(
        "root:root 600",
      );
      expect((await notOurs(node)).length).toBe(10);
      await node.machine.must(
        "install -D /usr/share/doc/bao-kms-provider/examples/values.yaml /root/migrating/values.yaml",
      );
      await page.good("migrating.md#init");
      for (const phase of ["encryption-config-readers.yaml", "encryption-config.yaml"]) {
        await node.machine.must(
          `cd ${encryption}
           install -m 0600 /root/migrating/control-plane-1/${phase} encryption-config.yaml.new
           ${docBlock("migrating.md#compare")}
           mv encryption-config.yaml.new encryption-config.yaml`,
        );
        await untilReloaded(node);
        await readSecrets(node);
      }
      await page.good("migrating.md#rewrite");
      await page.good("migrating.md#prove");
      expect(await notOurs(node)).toEqual([]);
      await readSecrets(node);
      expect([...objectsIn("migrating/after.json").keys()]).toEqual([(await host.client().status()).keyId]);
    });

    test("rotation.md: rotate, migrate, verify, retire, restore", async () => {
      const { machine } = node;
      const client = host.client();
      const old = await client.encrypt(Buffer.from("written before"));
      await page.good("rotation.md#before");
      expect([...objectsIn("rotation/before.json").keys()]).toEqual([old.keyId]);
      await page.outside("rotation.md#rotate");
      const keyId = await eventually(
        "the provider promotes the new version",
        async () => {
          const status = await client.status();
          return status.keyId === old.keyId ? undefined : status.keyId;
        },
        { timeoutMs: STATUS_TIMEOUT_MS },
      );
      const seen = createHash("sha256").update(keyId).digest("hex");
      await eventually(
        "kube-apiserver knows the new key_id",
        async () =>
          new RegExp(`^apiserver_envelope_encryption_key_id_hash_status_.*sha256:${seen}`, "m").test(
            await node.kubectl("get --raw /metrics"),
          ),
        { timeoutMs: STATUS_TIMEOUT_MS, everyMs: 1000 },
      );
      expect(await report()).toMatchObject({ keyId, removedVersions: [] });
      await page.good("rotation.md#migrate");
      await page.good("rotation.md#verify");
      expect([...objectsIn("rotation/after.json").keys()]).toEqual([keyId]);
      await readSecrets(node);

      // The page has the operator wait five minutes after the last report.
      expect((await page.run("rotation.md#retire-plan")).status).toBe(4);
      const earlier = { ...(await report()), checkedAt: new Date(Date.now() - MINUTES_6_MS).toISOString() };
      machine.put(`/root/${NODE_REPORT}`, JSON.stringify(earlier), 0o600);
      await page.good("rotation.md#retire-apply", await page.hashOf("rotation.md#retire-plan"));
      await expectServiceOwnsState();
      await eventually("the version is refused", async () => (await codeOf(client.decrypt(old))) !== "OK", {
        timeoutMs: REGISTRY_TIMEOUT_MS,
      });
      expect(await report()).toMatchObject({ keyId, removedVersions: [1] });
      await readSecrets(node);

      await page.good("rotation.md#restore-apply", await page.hashOf("rotation.md#restore-plan"));
      await expectServiceOwnsState();
      await eventually("the version is back", async () => (await codeOf(client.decrypt(old))) === "OK", {
        timeoutMs: REGISTRY_TIMEOUT_MS,
      });
      expect(await report()).toMatchObject({ keyId, removedVersions: [] });
    });

    test("disaster-recovery.md: the registry is lost and rebuilt from etcd", async () => {
      const { keyId } = await report();
      await page.good("disaster-recovery.md#look");
      const hash = await page.hashOf("disaster-recovery.md#rebuild-plan");
      expect((await node.machine.sh(`test -e ${paths.registry}`)).status).toBe(1);
      await page.good("disaster-recovery.md#rebuild-apply", hash);
      await expectServiceOwnsState();
      expect((await report()).keyId).toBe(keyId);
      await node.machine.must(
        "cd /root/disaster-recovery; etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/kubernetes/pki/etcd/ca.crt \
         --cert /etc/kubernetes/pki/etcd/healthcheck-client.crt --key /etc/kubernetes/pki/etcd/healthcheck-client.key \
         snapshot save etcd-snapshot.db",
      );
      await page.good("disaster-recovery.md#kept");
      await readSecrets(node);
    });

    test("kubeadm.md: while OpenBao is away /readyz is 500, and /livez and the exclusion are ok", async () => {
      const answers = async (path: string): Promise<boolean> =>
        (await node.machine.sh(`kubectl --kubeconfig /etc/kubernetes/super-admin.conf get --raw '${path}'`))
          .stdout === "ok";
      await host.openbao.stop();
      await eventually(
        "/readyz and /healthz are not ok",
        async () => !(await answers("/readyz")) && !(await answers("/healthz")),
        { timeoutMs: STATUS_TIMEOUT_MS, everyMs: 1000 },
      );
      expect(await answers("/livez")).toBe(true);
      expect(await answers("/readyz?exclude=kms-providers")).toBe(true);
      await readSecrets(node);
      await node.kubectl("create secret generic written-while-away --from-literal=password=away");
      await host.openbao.start();
      await node.ready();
      expect(await node.stored("/registry/secrets/default/written-while-away")).toStartWith(
        "k8s:enc:kms:v2:",
      );
    });
  },
  { full: true },
);
