/**
 * The static pod's manifest.
 *
 * @module Pure: the pod of deploy/static-pod with the image, group and paths of one node.
 */
import { dirname } from "node:path";
import { stringify } from "yaml";
import type { ProviderConfig } from "../../config/schema.ts";

export interface StaticPodRequest {
  readonly config: ProviderConfig;
  readonly image: string;
  readonly socketGid: number;
}

/** The user of the image; the files on the host belong to it by number. */
const IMAGE_UID = 65532;
const CONFIG_PATH = "/etc/openbao-kms/config.yaml";

export function staticPodManifest({ config, image, socketGid }: StaticPodRequest): string {
  const probe = {
    httpGet: {
      host: config.server.healthAddress.host,
      port: config.server.healthAddress.port,
      path: "/live",
    },
  };
  const mounts = mountsOf(config);
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "bao-kms-provider",
      namespace: "kube-system",
      labels: { "app.kubernetes.io/name": "bao-kms-provider", "app.kubernetes.io/component": "kms" },
    },
    spec: {
      hostNetwork: true,
      priorityClassName: "system-node-critical",
      priority: 2_000_001_000,
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 15,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: IMAGE_UID,
        runAsGroup: IMAGE_UID,
        supplementalGroups: [socketGid],
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          name: "bao-kms-provider",
          image,
          imagePullPolicy: "IfNotPresent",
          args: ["serve", "--config", CONFIG_PATH],
          // Milliseconds between two looks for idle memory, as in the unit; each second by itself.
          env: [
            { name: "BUN_GC_TIMER_INTERVAL", value: "30000" },
            { name: "BUN_CONFIG_DNS_TIME_TO_LIVE_SECONDS", value: "5" },
          ],
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            privileged: false,
            capabilities: { drop: ["ALL"] },
          },
          resources: { requests: { cpu: "50m", memory: "96Mi" }, limits: { memory: "512Mi" } },
          startupProbe: { ...probe, periodSeconds: 2, failureThreshold: 60 },
          livenessProbe: { ...probe, periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 6 },
          volumeMounts: mounts.map(({ name, path, isWritable }) =>
            isWritable ? { name, mountPath: path } : { name, mountPath: path, readOnly: true },
          ),
        },
      ],
      volumes: mounts.map(({ name, path, type }) => ({ name, hostPath: { path, type } })),
    },
  };
  return `# Made by bao-kms-provider init. Copy to /etc/kubernetes/manifests on this node; not beside the deb or rpm, which would own
# ${dirname(config.server.socketPath)} too.
${stringify(pod, { lineWidth: 0 })}`;
}

interface Mount {
  readonly name: string;
  readonly path: string;
  readonly type: "File" | "Directory";
  readonly isWritable: boolean;
}

/** Files that are read again when they change are mounted by directory: a rename would leave a mounted file the old one. */
function mountsOf(config: ProviderConfig): readonly Mount[] {
  const mounts: Mount[] = [
    { name: "config", path: CONFIG_PATH, type: "File", isWritable: false },
    { name: "tls", path: dirname(config.openbao.caCertFile), type: "Directory", isWritable: false },
  ];
  credentialDirectories(config).forEach((path, index) => {
    if (!mounts.some((mount) => mount.path === path)) {
      mounts.push({
        name: index === 0 ? "identity" : `identity-${index + 1}`,
        path,
        type: "Directory",
        isWritable: false,
      });
    }
  });
  return [
    ...mounts,
    { name: "state", path: dirname(config.state.path), type: "Directory", isWritable: true },
    { name: "socket", path: dirname(config.server.socketPath), type: "Directory", isWritable: true },
  ];
}

function credentialDirectories({ auth }: ProviderConfig): readonly string[] {
  return [...new Set(credentialFiles(auth).map((file) => dirname(file)))];
}

/** The files that the chosen auth method reads. */
export function credentialFiles(auth: ProviderConfig["auth"]): readonly string[] {
  switch (auth.method) {
    case "jwt": {
      const { credential } = auth.jwt;
      return credential.source === "file"
        ? [credential.jwtFile]
        : credential.source === "oauth2"
          ? [credential.clientSecretFile, credential.caCertFile]
          : [credential.socketPath];
    }
    case "cert": {
      const { credential } = auth.cert;
      return credential.source === "file"
        ? [credential.certificateFile, credential.privateKeyFile]
        : [credential.certificateFile, credential.pinFile, credential.modulePath];
    }
    default:
      return [
        auth.approle.secretIdFile,
        ...(auth.approle.roleId.kind === "file" ? [auth.approle.roleId.file] : []),
      ];
  }
}
