"""Versions, places and addresses of the test cluster."""

import os
from pathlib import Path

KUBERNETES = "v1.34.4"
"""The last minor that runs on cgroup v1 without being told to; go.mod names the same."""

GO_PROGRAMS = {
    "helm": "helm.sh/helm/v3/cmd/helm@v3.20.2",
    "coredns": "github.com/coredns/coredns@v1.14.6",
    "kube-score": "github.com/zegl/kube-score/cmd/kube-score@v1.20.0",
    "actionlint": "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7",
}
"""Built as they are; kube-score for the charts, actionlint for the workflow."""

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

CACHE = Path(os.environ.get("PFPNAS_E2E_CACHE") or Path.home() / ".cache" / "pfpnas-e2e")
"""Programs, images and containerd's store: what a second run need not make again. Outside the checkout."""

STATE = CACHE / "state"
"""Everything of one running cluster: certificates, logs, etcd, volumes, process ids. Made anew by each start."""

RUN = Path("/run/pfpnas-e2e")
"""Sockets and mounts of containerd: a short path, as a socket's may have 107 characters."""

CONTAINERD = RUN / "containerd.sock"
KUBECONFIG = STATE / "kubeconfig"

CONTEXT = "pfpnas-test-local"
"""The kubeconfig's context: `existing` takes `pfpnas-test-*` and `kind-*` for test clusters and nothing else."""

KIND_CLUSTER = "pfpnas-e2e"
NODE_IMAGE = "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"
"""Of kind v0.33.0; each release of kind names its own images. Kubernetes' minor is the local cluster's."""

NODE = "pfpnas-e2e"
BRIDGE = "pfpnas0"
BRIDGE_HARDWARE = "02:70:66:70:6e:61"
"""Locally administered."""

ADDRESS = "10.244.0.1"
"""The bridge's, hence the node's: API server, kubelet and DNS listen here. Loopback can't be advertised."""

POD_RANGE = "10.244.0.0/24"
SERVICE_RANGE = "10.96.0.0/16"
API = f"https://{ADDRESS}:6443"
ETCD = "http://127.0.0.1:23790"
CGROUP = "pfpnas-e2e"

STORAGE_CLASS = "local-e2e"
VOLUMES = 64
"""There is no provisioner, so so many volumes are made beforehand; `renew_volumes` empties the used ones."""
