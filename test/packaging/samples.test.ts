/** The samples in deploy/ are accepted by the provider, and agree with each other. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as v from "valibot";
import { parse } from "yaml";
import { decodeConfig } from "../../src/config/decode-config.ts";
import { fieldTable } from "../../src/config/field-table.ts";
import { configSchema } from "../../src/config/schema.ts";

const deploy = join(import.meta.dir, "..", "..", "deploy");
const read = (...path: readonly string[]): string => readFileSync(join(deploy, ...path), "utf8");

const config = (name: string) => decodeConfig(readFileSync(join(deploy, "config", name)), name).config;
const jwtFile = (name: string): string => /jwtFile: (\S+)/.exec(read("config", name))?.[1] ?? "";
const onHost = config("provider-systemd.yaml");
const inPod = config("provider-static-pod.yaml");

const hostPath = v.object({ name: v.string(), hostPath: v.object({ path: v.string(), type: v.string() }) });
const podSchema = v.object({
  spec: v.object({
    hostNetwork: v.literal(true),
    automountServiceAccountToken: v.literal(false),
    securityContext: v.object({
      runAsNonRoot: v.literal(true),
      runAsUser: v.number(),
      supplementalGroups: v.array(v.number()),
      seccompProfile: v.object({ type: v.literal("RuntimeDefault") }),
    }),
    containers: v.tuple([
      v.object({
        image: v.pipe(v.string(), v.regex(/@sha256:[0-9a-f]{64}$/)),
        args: v.array(v.string()),
        securityContext: v.object({
          allowPrivilegeEscalation: v.literal(false),
          readOnlyRootFilesystem: v.literal(true),
          capabilities: v.object({ drop: v.tuple([v.literal("ALL")]) }),
        }),
        startupProbe: v.object({
          httpGet: v.object({ host: v.string(), port: v.number(), path: v.string() }),
        }),
        livenessProbe: v.object({
          httpGet: v.object({ host: v.string(), port: v.number(), path: v.string() }),
        }),
        volumeMounts: v.array(
          v.object({ name: v.string(), mountPath: v.string(), readOnly: v.optional(v.boolean(), false) }),
        ),
      }),
    ]),
    volumes: v.array(hostPath),
  }),
});

describe("static pod", () => {
  const { spec } = v.parse(podSchema, parse(read("static-pod", "bao-kms-provider.yaml")));
  const [container] = spec.containers;
  const writable = container.volumeMounts.filter((mount) => !mount.readOnly).map((mount) => mount.mountPath);

  test("its socket group is the configuration's", () => {
    expect(spec.securityContext.supplementalGroups.map(String)).toEqual([inPod.server.socketGroup]);
  });

  test("it writes to the state and the socket directory only", () => {
    expect(writable).toEqual(["/var/lib/openbao-kms/state", "/run/openbao-kms"]);
    expect(inPod.state.path).toStartWith("/var/lib/openbao-kms/state/");
    expect(inPod.server.socketPath).toStartWith("/run/openbao-kms/");
  });

  test("every file of the configuration is mounted", () => {
    const mounted = (path: string): boolean =>
      container.volumeMounts.some(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`));
    const files = [
      container.args.at(-1) ?? "",
      inPod.openbao.caCertFile,
      jwtFile("provider-static-pod.yaml"),
      inPod.state.path,
    ];
    expect(files.filter((path) => !mounted(path))).toEqual([]);
  });

  test("it is probed where the configuration listens, and never for readiness", () => {
    for (const { httpGet } of [container.startupProbe, container.livenessProbe]) {
      expect(`${httpGet.host}:${httpGet.port}`).toBe("127.0.0.1:8082");
      expect(httpGet.path).toBe("/live");
    }
    expect(read("static-pod", "bao-kms-provider.yaml")).not.toContain("readinessProbe");
  });

  test("its directories belong to the pod's user", () => {
    const owned = read("static-pod", "tmpfiles.conf").match(/^d \S+ \S+ (65532|root) .*$/gm) ?? [];
    expect(owned.length).toBe(5);
    expect(spec.securityContext.runAsUser).toBe(65532);
  });
});

const sidecarMount = v.object({ name: v.string(), mountPath: v.string(), readOnly: v.optional(v.boolean()) });
const sidecar = v.looseObject({
  name: v.literal("bao-kms-provider"),
  restartPolicy: v.literal("Always"),
  startupProbe: v.object({
    exec: v.object({ command: v.array(v.string()) }),
    periodSeconds: v.number(),
    failureThreshold: v.number(),
  }),
  livenessProbe: v.object({ httpGet: v.object({ port: v.number(), path: v.literal("/live") }) }),
  volumeMounts: v.array(sidecarMount),
});
const podPatch = v.object({
  spec: v.object({
    securityContext: v.object({ fsGroup: v.number(), seccompProfile: v.unknown() }),
    initContainers: v.tuple([sidecar]),
    containers: v.tuple([
      v.object({ name: v.literal("kube-apiserver"), volumeMounts: v.array(sidecarMount) }),
    ]),
    volumes: v.array(v.looseObject({ name: v.string() })),
  }),
});
const kamajiPatch = v.object({
  spec: v.object({
    controlPlane: v.object({
      deployment: v.object({
        podSecurityContext: v.unknown(),
        extraArgs: v.object({ apiServer: v.array(v.string()) }),
        additionalInitContainers: v.unknown(),
        additionalVolumeMounts: v.object({ apiServer: v.unknown() }),
        additionalVolumes: v.unknown(),
      }),
    }),
  }),
});

describe("sidecar", () => {
  const patch = parse(read("sidecar", "pod-patch.yaml"));
  const { spec } = v.parse(podPatch, patch);
  const [provider] = spec.initContainers;
  const [apiServer] = spec.containers;
  const data = v.parse(
    v.object({ "config.yaml": v.string(), "encryption-config.yaml": v.string() }),
    parse(read("sidecar", "provider-config.yaml")).data,
  );
  const { server, state, bootstrap } = decodeConfig(Buffer.from(data["config.yaml"]), "sidecar").config;
  const mountOf = (path: string) =>
    provider.volumeMounts.find((mount) => path.startsWith(`${mount.mountPath}/`));

  test("group, socket and port are the configuration's", () => {
    expect(String(spec.securityContext.fsGroup)).toBe(server.socketGroup);
    expect(provider.startupProbe.exec.command).toEqual([
      "/usr/bin/bao-kms-provider",
      "probe",
      "--socket",
      server.socketPath,
    ]);
    expect(provider.livenessProbe.httpGet.port).toBe(server.healthAddress.port);
    expect(data["encryption-config.yaml"]).toContain(`endpoint: unix://${server.socketPath}\n`);
    const { periodSeconds, failureThreshold } = provider.startupProbe;
    expect(periodSeconds * failureThreshold * 1000).toBe(bootstrap.graceTimeout);
    expect(bootstrap.graceTimeout).toBe(3_600_000);
  });

  test("a new pod needs no copied file: both directories are made on volumes", () => {
    expect(bootstrap.missingState).toBe("observe");
    expect([server.createDirectory, state.createDirectory]).toEqual([true, true]);
    for (const path of [server.socketPath, state.path]) {
      const volume = spec.volumes.find(({ name }) => name === mountOf(path)?.name);
      expect(volume).toHaveProperty("emptyDir");
    }
  });

  test("kube-apiserver gets the socket and the configuration, read-only, and neither token nor registry", () => {
    expect(apiServer.volumeMounts.map(({ name, readOnly }) => [name, readOnly])).toEqual([
      ["kms-socket", true],
      ["kms-config", true],
    ]);
  });

  test("Kamaji's patch has the same pieces", () => {
    const { deployment } = v.parse(kamajiPatch, parse(read("sidecar", "kamaji-patch.yaml"))).spec
      .controlPlane;
    expect(deployment).toEqual({
      podSecurityContext: patch.spec.securityContext,
      extraArgs: { apiServer: ["--encryption-provider-config=/etc/openbao-kms/encryption-config.yaml"] },
      additionalInitContainers: patch.spec.initContainers,
      additionalVolumeMounts: { apiServer: patch.spec.containers[0].volumeMounts },
      additionalVolumes: patch.spec.volumes,
    });
  });
});

const encryptionSchema = v.object({
  apiVersion: v.literal("apiserver.config.k8s.io/v1"),
  kind: v.literal("EncryptionConfiguration"),
  resources: v.array(
    v.object({ resources: v.array(v.string()), providers: v.array(v.record(v.string(), v.unknown())) }),
  ),
});

describe("EncryptionConfiguration", () => {
  const phase = (name: string) =>
    v.parse(encryptionSchema, parse(read("kubernetes", name))).resources[0]?.providers ?? [];
  const readers = phase("encryption-config-readers.yaml");
  const writers = phase("encryption-config.yaml");

  test("phase 1 writes as before, phase 2 writes with KMS, both read both", () => {
    expect(readers.map((entry) => Object.keys(entry)[0])).toEqual(["identity", "kms"]);
    expect(writers.map((entry) => Object.keys(entry)[0])).toEqual(["kms", "identity"]);
    expect(readers[1]).toEqual(writers[0]);
  });

  test("name and endpoint are the configuration's", () => {
    expect(writers[0]).toEqual({
      kms: {
        apiVersion: "v2",
        name: onHost.transit.keyIdScope.providerName,
        endpoint: `unix://${onHost.server.socketPath}`,
        timeout: "3s",
      },
    });
  });
});

/** Each drop-in that systemd decrypts a credential for: its name there, and the field that reads it. */
const ENCRYPTED = [
  ["encrypted-jwt.conf", "jwt", "auth.jwt.jwtFile"],
  ["encrypted-secret-id.conf", "secret-id", "auth.approle.secretIdFile"],
  ["encrypted-client-secret.conf", "client-secret", "auth.jwt.oauth2.clientSecretFile"],
  ["encrypted-pin.conf", "pin", "auth.cert.pkcs11.pinFile"],
] as const;

describe("systemd credentials", () => {
  test.each(ENCRYPTED)("%s loads %s for %s, under one name everywhere", (file, name, field) => {
    const text = read("systemd", "drop-ins", file);
    const stored = `/etc/credstore.encrypted/openbao-kms.${name}`;
    expect(text).toContain(`\nLoadCredentialEncrypted=${name}:${stored}\n`);
    expect(text).toContain(`\nConditionPathExists=${stored}\n`);
    expect(text).toContain(`--name=${name} PLAINTEXT-FILE ${stored}\n`);
    expect(text).toContain(`${field}: /run/credentials/bao-kms-provider.service/${name}\n`);
    expect(fieldTable(configSchema).map(({ path }) => path)).toContain(field);
  });

  test("a token that refused the PIN is not tried again", () => {
    expect(read("systemd", "drop-ins", "encrypted-pin.conf")).toContain("\nRestartPreventExitStatus=6\n");
  });
});

describe("unit", () => {
  const unit = read("systemd", "bao-kms-provider.service");
  const conditions = (text: string): readonly string[] => text.match(/^Condition\w+=.*$/gm) ?? [];

  test("it starts the configured socket's directory and no other", () => {
    expect(unit).toContain("ReadWritePaths=/run/openbao-kms /var/lib/openbao-kms/state\n");
    expect(unit).toContain(`ConditionPathExists=${jwtFile("provider-systemd.yaml")}\n`);
  });

  test("every credential drop-in replaces the JWT condition and keeps the others", () => {
    const dropIns = readdirSync(join(deploy, "systemd", "drop-ins"))
      .map((name) => read("systemd", "drop-ins", name))
      .filter((text) => conditions(text).length > 0);
    expect(dropIns.length).toBe(9);
    const kept = conditions(unit).filter((line) => !line.includes("identity.jwt"));
    for (const text of dropIns) {
      expect(conditions(text)[0]).toBe("ConditionPathExists=");
      expect(conditions(text)).toEqual(expect.arrayContaining([...kept]));
      expect(text).not.toContain("identity.jwt");
    }
  });
});
