/**
 * @module The Kubernetes object that an etcd key belongs to: `<resource>/…`, or `<group>/<resource>/…` for custom resources.
 * @see https://github.com/kubernetes/kubernetes/blob/master/pkg/kubeapiserver/default_storage_factory_builder.go
 */
interface ObjectName {
  /** `secrets`, `deployments.apps`, `widgets.example.com`: as `kubectl` and EncryptionConfiguration spell it. */
  readonly resource: string;
  /** Namespace and name, or the name alone, as in the key. */
  readonly path: string;
}

/** Resources of kube-apiserver whose place in etcd is not their name, or whose group the place does not show. */
const BUILT_IN: ReadonlyMap<string, string> = new Map([
  ["minions", "nodes"],
  ["controllers", "replicationcontrollers"],
  ["services/specs", "services"],
  ["services/endpoints", "endpoints"],
  ...grouped("apps", "deployments", "daemonsets", "replicasets", "statefulsets", "controllerrevisions"),
  ...grouped("batch", "jobs", "cronjobs"),
  ...grouped("autoscaling", "horizontalpodautoscalers"),
  ...grouped("policy", "poddisruptionbudgets"),
  ...grouped("coordination.k8s.io", "leases", "leasecandidates"),
  ...grouped("discovery.k8s.io", "endpointslices"),
  ...grouped("networking.k8s.io", "ingressclasses", "networkpolicies", "ipaddresses", "servicecidrs"),
  ["ingress", "ingresses.networking.k8s.io"],
  ...grouped("rbac.authorization.k8s.io", "roles", "rolebindings", "clusterroles", "clusterrolebindings"),
  ...grouped("scheduling.k8s.io", "priorityclasses"),
  ...grouped("node.k8s.io", "runtimeclasses"),
  ...grouped("certificates.k8s.io", "certificatesigningrequests", "clustertrustbundles"),
  ...grouped("flowcontrol.apiserver.k8s.io", "flowschemas", "prioritylevelconfigurations"),
  ...grouped(
    "storage.k8s.io",
    "storageclasses",
    "volumeattachments",
    "csinodes",
    "csidrivers",
    "csistoragecapacities",
    "volumeattributesclasses",
  ),
  ...grouped(
    "admissionregistration.k8s.io",
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
  ),
  ...grouped(
    "resource.k8s.io",
    "deviceclasses",
    "resourceclaims",
    "resourceclaimtemplates",
    "resourceslices",
  ),
]);

/** `rest` is the key behind the prefix and its slash. */
export function objectName(rest: string): ObjectName {
  const [first = "", second = "", ...others] = rest.split("/");
  if (first === "services" && others.length > 0) {
    return { resource: BUILT_IN.get(`${first}/${second}`) ?? first, path: others.join("/") };
  }
  if (first.includes(".") && others.length > 0) {
    return { resource: `${second}.${first}`, path: others.join("/") };
  }
  return { resource: BUILT_IN.get(first) ?? first, path: [second, ...others].join("/") };
}

function grouped(group: string, ...resources: readonly string[]): readonly (readonly [string, string])[] {
  return resources.map((resource) => [resource, `${resource}.${group}`] as const);
}
