"""How each component is started: command lines and configuration files, pure."""

from pathlib import Path
from typing import Any

from cluster.settings import ADDRESS, BRIDGE, CGROUP, CONTAINERD, ETCD, NODE, POD_RANGE, RUN, SERVICE_RANGE

SERVICE_DNS = ADDRESS
"""CoreDNS runs on the node, so the pods ask the node."""

CORE_DNS_ROLE = "system:coredns"


def etcd(data: Path) -> list[str]:
    """One member on loopback; its data are as short-lived as the cluster."""
    peers = "http://127.0.0.1:23800"
    return [
        "etcd", "--name", NODE, "--data-dir", str(data), "--log-level", "warn",
        "--listen-client-urls", ETCD, "--advertise-client-urls", ETCD,
        "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"{NODE}={peers}",
        "--quota-backend-bytes", str(4 << 30),  # the benchmark of scale keeps 10,000 Trials and their revisions
    ]  # fmt: skip


def containerd(config: Path) -> list[str]:
    """Our own, beside any that the machine may have."""
    return ["containerd", "--config", str(config), "--log-level", "warn"]


def containerd_config(root: Path, cni: Path, *, sandbox_image: str) -> str:
    """TOML of containerd 1.6.

    `restrict_oom_score_adj`: root may lack CAP_SYS_RESOURCE, and every sandbox would fail with "can't get final child's
    PID from pipe". `netns_mounts_under_state_dir`: a killed run's mounts are then found below one folder.
    """
    return f"""version = 2
root = "{root}"
state = "{RUN}/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
address = "{CONTAINERD}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{sandbox_image}"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
max_concurrent_downloads = 1

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{cni}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{RUN}/runc"
"""


def cni_config(addresses: Path) -> dict[str, Any]:
    """A bridge with addresses from a file. It enforces no NetworkPolicy: those are only rendered and validated here."""
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(addresses),
            "ranges": [[{"subnet": POD_RANGE, "gateway": ADDRESS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return {"cniVersion": "0.4.0", "name": NODE, "plugins": [bridge]}


def api_server(program: Path, certificates: Path) -> list[str]:
    """Kubernetes' defaults, with authorization by node and role; Pod Security is among the default plugins."""
    return [
        str(program), "kube-apiserver", "--etcd-servers", ETCD,
        "--bind-address", ADDRESS, "--advertise-address", ADDRESS, "--secure-port", "6443",
        "--service-cluster-ip-range", SERVICE_RANGE, "--authorization-mode", "Node,RBAC", "--allow-privileged",
        "--enable-admission-plugins", "NodeRestriction", "--anonymous-auth=false",
        "--client-ca-file", f"{certificates}/ca.crt",
        "--tls-cert-file", f"{certificates}/apiserver.crt", "--tls-private-key-file", f"{certificates}/apiserver.key",
        "--kubelet-certificate-authority", f"{certificates}/ca.crt",
        "--kubelet-client-certificate", f"{certificates}/apiserver-to-kubelet.crt",
        "--kubelet-client-key", f"{certificates}/apiserver-to-kubelet.key",
        "--kubelet-preferred-address-types", "InternalIP",
        # No extension server is there to be asked on a user's behalf; without an authority the controllers complain.
        "--requestheader-client-ca-file", f"{certificates}/ca.crt", "--requestheader-allowed-names", "nobody",
        "--service-account-issuer", "https://kubernetes.default.svc",
        "--service-account-key-file", f"{certificates}/service-accounts.pub",
        "--service-account-signing-key-file", f"{certificates}/service-accounts.key",
    ]  # fmt: skip


def controller_manager(program: Path, certificates: Path, kubeconfig: Path) -> list[str]:
    """All controllers, each with its own service account."""
    return [
        str(program), "kube-controller-manager", *_known_by(kubeconfig), "--bind-address", "127.0.0.1",
        "--leader-elect=false", "--use-service-account-credentials",
        "--flex-volume-plugin-dir", str(certificates.parent / "volume-plugins"),
        "--root-ca-file", f"{certificates}/ca.crt",
        "--service-account-private-key-file", f"{certificates}/service-accounts.key",
    ]  # fmt: skip


def scheduler(program: Path, kubeconfig: Path) -> list[str]:
    """The default scheduler."""
    return [
        str(program),
        "kube-scheduler",
        *_known_by(kubeconfig),
        "--bind-address",
        "127.0.0.1",
        "--leader-elect=false",
    ]


def _known_by(kubeconfig: Path) -> list[str]:
    flags = ("--kubeconfig", "--authentication-kubeconfig", "--authorization-kubeconfig")
    return [part for flag in flags for part in (flag, str(kubeconfig))]


def kubelet(program: Path, config: Path, *, kubeconfig: Path, root: Path) -> list[str]:
    """The node."""
    return [
        str(program), "kubelet", "--config", str(config), "--kubeconfig", str(kubeconfig), "--root-dir", str(root),
        "--cert-dir", str(root / "certificates"), "--hostname-override", NODE, "--node-ip", ADDRESS,
    ]  # fmt: skip


def kubelet_config(state: Path, certificates: Path) -> dict[str, Any]:
    """KubeletConfiguration: listens on the bridge only, keeps images whatever the disk's state, keeps to `state`."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{certificates}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{certificates}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{certificates}/kubelet-server.key",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failSwapOn": False,
        "clusterDNS": [SERVICE_DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(state / "resolv.conf"),
        "podLogsDir": str(state / "pod-logs"),
        "volumePluginDir": str(state / "volume-plugins"),
        "imageGCHighThresholdPercent": 100,  # images can't be pulled again
        "evictionHard": {"memory.available": "1%", "nodefs.available": "1%", "imagefs.available": "1%"},
    }


def proxy_config(kubeconfig: Path) -> dict[str, Any]:
    """KubeProxyConfiguration that leaves the machine's conntrack settings and loopback routing alone."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": POD_RANGE,
        "hostnameOverride": NODE,
        "bindAddress": ADDRESS,
        "healthzBindAddress": "127.0.0.1:10256",
        "nodePortAddresses": [f"{ADDRESS}/32"],
        "metricsBindAddress": "127.0.0.1:10249",
        "iptables": {"localhostNodePorts": False},
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }


def corefile(kubeconfig: Path) -> str:
    """Answers for the cluster's own names only: nothing leaves the machine."""
    return f"""cluster.local:53 {{
    bind {SERVICE_DNS}
    errors
    kubernetes cluster.local {{
        kubeconfig {kubeconfig}
    }}
}}
"""


def dns_role(identity: str) -> list[dict[str, Any]]:
    """What CoreDNS may read."""
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    api = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{api}/v1", "kind": "ClusterRole", "metadata": {"name": CORE_DNS_ROLE}, "rules": rules}
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": CORE_DNS_ROLE},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": CORE_DNS_ROLE},
        "subjects": [{"apiGroup": api, "kind": "User", "name": identity}],
    }
    return [role, binding]
