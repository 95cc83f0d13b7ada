/**
 * @module A control-plane node made by kubeadm: systemd, containerd and kubelet, with etcd and kube-apiserver as static pods.
 * The machine is test/systemd/machine; this installs Kubernetes in it and drives kubeadm. No scheduler, no network plugin.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { writeOciLayout } from "../../packaging/oci-layout.ts";
import { run } from "../../packaging/run.ts";
import { tarOf } from "../../packaging/tarball.ts";
import { eventually } from "../harness/eventually.ts";
import { startOpenBao } from "../harness/openbao.ts";
import { docBlock } from "../packaging/doc-blocks.ts";
import { type Machine, newMachine } from "../systemd/machine.ts";
import { openRelay } from "./relay.ts";

const here = import.meta.dir;
const NODE_BINARIES = [
  "kubelet",
  "kubeadm",
  "kubectl",
  "etcdctl",
  "containerd",
  "containerd-shim-runc-v2",
  "ctr",
] as const;
/** What a suite on such a node needs, and where each comes from. */
export const nodeTools = {
  ...Object.fromEntries(
    [...NODE_BINARIES, "kube-apiserver", "etcd", "bao"].map((name) => [
      name,
      "none: .ci/components puts it on PATH",
    ]),
  ),
  gcc: "gcc",
  ip: "iproute2",
};
/** Of one test: a minute for a reload, a minute for a changed manifest, and boots. */
export const nodeTimeoutMs = 600_000;
const READY_TIMEOUT_MS = 120_000;
const ADMIN = "/etc/kubernetes/super-admin.conf";
/** kubeadm waits here for a controller manager and a scheduler, which no test needs. */
const WAITING_PHASES = "wait-control-plane";
const LATER_PHASES =
  "upload-config,upload-certs,mark-control-plane,bootstrap-token,kubelet-finalize,addon,show-join-command";

export type KubeNode = ReturnType<typeof kubeNode>;

/** A node with a cluster, and a real OpenBao outside, which both reach under one address. */
export async function newKubeNode() {
  await using undo = new AsyncDisposableStack();
  const openbao = await startOpenBao(binary("bao"));
  undo.defer(openbao.dispose);
  const machine = await newKubeMachine();
  undo.defer(machine.remove);
  await machine.boot();
  undo.defer(await openRelay(machine, Number(new URL(openbao.address).port)));
  const node = kubeNode(machine);
  await node.init();
  const made = undo.move();
  return { node, openbao, dispose: async () => made.disposeAsync() };
}

/** A machine with Kubernetes installed, not a cluster yet. Powered off. */
export async function newKubeMachine(): Promise<Machine> {
  const machine = await newMachine("node");
  try {
    install(machine);
    return machine;
  } catch (error) {
    await machine.remove();
    throw error;
  }
}

function install(machine: Machine): void {
  const root = join(machine.shared, "..", "root");
  cpSync(join(here, "root"), root, { recursive: true });
  for (const name of NODE_BINARIES) {
    cpSync(binary(name), join(root, "usr", "bin", name));
  }
  const wanted = join(root, "etc", "systemd", "system", "multi-user.target.wants");
  for (const unit of ["containerd.service", "kubelet.service"]) {
    symlinkSync(join("/usr/lib/systemd/system", unit), join(wanted, unit));
  }
}

function binary(name: string): string {
  const found = Bun.which(name);
  if (found === null) {
    throw new Error(`there is no ${name} on PATH`);
  }
  return found;
}

export function versionOf(name: string): string {
  const version = /\d+\.\d+\.\d+/.exec(run(binary(name), ["--version"]))?.[0];
  if (version === undefined) {
    throw new Error(`${name} states no version`);
  }
  return version;
}

export function kubeNode(machine: Machine) {
  /** kubectl as the administrator; returns its output. */
  const kubectl = (words: string): Promise<string> => machine.must(`kubectl --kubeconfig ${ADMIN} ${words}`);
  /** Resolves when /readyz answers ok. */
  const ready = async (): Promise<void> => {
    await eventually("kube-apiserver is ready", async () => (await kubectl("get --raw /readyz")) === "ok", {
      timeoutMs: READY_TIMEOUT_MS,
      everyMs: 200,
    });
  };
  return {
    machine,
    kubectl,
    ready,
    /** `kubeadm init` with a ClusterConfiguration of the suite's own. */
    init: async (): Promise<void> => {
      const etcdTag = `${versionOf("etcd")}-0`;
      const kubernetes = kubernetesVersion();
      await importPause(machine, "registry.k8s.io/pause:test");
      await importProgram(machine, `registry.k8s.io/kube-apiserver:${kubernetes}`, binary("kube-apiserver"));
      await importProgram(machine, `registry.k8s.io/etcd:${etcdTag}`, binary("etcd"));
      const config = readFileSync(join(here, "kubeadm.yaml"), "utf8");
      machine.put("/root/kubeadm.yaml", config.replace("KUBERNETES", kubernetes).replace("ETCD", etcdTag));
      const init = "kubeadm init --config /root/kubeadm.yaml --ignore-preflight-errors=all";
      await machine.must(
        `${init} --skip-phases=control-plane/controller-manager,control-plane/scheduler,${WAITING_PHASES},${LATER_PHASES}`,
      );
      await ready();
      // What the phase that is left out does besides waiting.
      await kubectl(
        "create clusterrolebinding kubeadm:cluster-admins --clusterrole=cluster-admin --group=kubeadm:cluster-admins",
      );
      await machine.must(
        `${init} --skip-phases=preflight,certs,kubeconfig,etcd,control-plane,kubelet-start,${WAITING_PHASES},addon,show-join-command`,
      );
    },
    /** The value of one key in etcd, as the documentation reads it. */
    stored: (key: string) =>
      machine.must(docBlock("kubeadm.md#etcdctl").replace("/registry/secrets/default/example", key)),
  };
}

/** As kubeadm writes it, with a v. */
export function kubernetesVersion(): string {
  return `v${versionOf("kubelet")}`;
}

/** Imports an image that is one static program. */
async function importProgram(machine: Machine, reference: string, program: string): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), "kms-image-"));
  try {
    const name = basename(program);
    mkdirSync(join(work, "layer", "usr", "local", "bin"), { recursive: true });
    cpSync(program, join(work, "layer", "usr", "local", "bin", name));
    writeOciLayout(
      {
        architecture: "amd64",
        created: new Date(0).toISOString(),
        reference: () => reference,
        tag: "test",
        gzipLevel: 0,
        layers: [tarOf(join(work, "layer"), 0)],
        config: {
          User: "0:0",
          Entrypoint: [`/usr/local/bin/${name}`],
          Cmd: [],
          Env: ["PATH=/usr/local/bin"],
          WorkingDir: "/",
          Labels: {},
        },
      },
      join(work, "layout"),
    );
    const archive = join(machine.shared, "image.tar");
    run("tar", ["-C", join(work, "layout"), "-cf", archive, "."]);
    await machine.must(`ctr -n k8s.io images import ${archive}; rm ${archive}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Imports a program that waits for a signal: a pod's pause container, and a container without work. */
export async function importPause(machine: Machine, reference: string, name = "pause"): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), "kms-pause-"));
  try {
    const program = join(work, name);
    run("gcc", ["-static", "-Os", "-o", program, join(here, "pause.c")]);
    await importProgram(machine, reference, program);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
