"""The images as pods see them: small, without what they need not have, and unable to change themselves."""

import json
from typing import Any

from cluster.kube import Cluster
from support.release import Images

LOOK = """
import importlib.util, json, os, shutil, sys
size = sum(os.lstat(os.path.join(at, name)).st_size for at, _, names in os.walk("/opt") for name in names)
def writable(path):
    try:
        open(path, "w").close()
    except OSError:
        return False
    return True
print(json.dumps({
    "megabytes": size / 1e6,
    "user": os.getuid(),
    "modules": [name for name in ("torch", "onnx", "kopf", "pip", "uv") if importlib.util.find_spec(name)],
    "programs": [name for name in ("gcc", "cc", "make", "uv") if shutil.which(name)],
    "writable": [path for path in ("/x", "/opt/x", "/etc/x", "/usr/x") if writable(path)],
    "python": sys.executable,
}))
"""
"""What an image adds to its base is all under /opt."""


def _look(cluster: Cluster, namespace: str, image: str) -> dict[str, Any]:
    """What the script says in a pod of the image."""
    container = {
        "name": "main",
        "image": image,
        "command": ["python", "-c", LOOK],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "look-"}, "spec": spec}
    name = cluster.kubectl("create", "-n", namespace, "-o", "name", "-f", "-", input=json.dumps(pod)).strip()
    cluster.kubectl("wait", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s", name)
    found: dict[str, Any] = json.loads(cluster.kubectl("logs", "-n", namespace, name))
    return found


def test_the_operator_is_small_and_has_no_torch(cluster: Cluster, module_namespace: str, images: Images) -> None:
    seen = _look(cluster, module_namespace, images.operator)
    assert seen["megabytes"] <= 200
    assert (seen["user"], seen["modules"], seen["programs"], seen["writable"]) == (65532, ["kopf"], [], [])


def test_the_agent_is_small_and_has_neither_torch_nor_onnx(
    cluster: Cluster, module_namespace: str, images: Images
) -> None:
    seen = _look(cluster, module_namespace, images.agent)
    assert seen["megabytes"] <= 200
    assert (seen["user"], seen["modules"], seen["programs"], seen["writable"]) == (65532, [], [], [])


def test_the_workloads_have_torch_and_nothing_to_build_with(
    cluster: Cluster, module_namespace: str, images: Images
) -> None:
    seen = _look(cluster, module_namespace, images.workloads)
    assert (seen["user"], seen["modules"], seen["programs"], seen["writable"]) == (65532, ["torch", "onnx"], [], [])
    assert seen["python"] == "/opt/python/bin/python"
