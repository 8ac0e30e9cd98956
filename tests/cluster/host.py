"""What the local cluster changes on the machine itself, and how it is put back: bridge, settings, rules, mounts."""

import contextlib
import json
import shutil
import socket
from pathlib import Path

from cluster import processes
from cluster.settings import ADDRESS, BRIDGE, BRIDGE_HARDWARE, CGROUP, CONTAINERD, RUN
from cluster.shell import CommandError, run

SETTINGS = (
    "net/ipv4/ip_forward",
    "net/bridge/bridge-nf-call-iptables",
    "vm/overcommit_memory",
    "kernel/panic",
    "kernel/panic_on_oops",
)
"""Kernel settings that the bridge plugin and the kubelet change."""

CGROUPS = Path("/sys/fs/cgroup")
LEGACY_LOGS = Path("/var/log/containers")
"""The kubelet's links to the logs; it knows no other place."""

SHIM_SOCKETS = Path("/run/containerd/s")
DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")


def save_settings(record: Path) -> None:
    """Note the kernel's settings, unless an earlier run that was killed noted the true ones."""
    if record.exists():
        return
    paths = {name: Path("/proc/sys") / name for name in SETTINGS}
    record.write_text(json.dumps({name: path.read_text() for name, path in paths.items() if path.exists()}))


def restore_settings(record: Path) -> None:
    """Put the noted settings back."""
    if record.exists():
        for name, value in json.loads(record.read_text()).items():
            (Path("/proc/sys") / name).write_text(value)
        record.unlink()


def make_bridge() -> None:
    """The pods' bridge, up, with the node's address, before the first pod makes it."""
    # Without an address of its own it has that of a pod, and another one once that is gone: the other pods, which know
    # it by the old one, then reach nothing for half a minute.
    run("ip", "link", "add", BRIDGE, "address", BRIDGE_HARDWARE, "type", "bridge")
    run("ip", "address", "add", f"{ADDRESS}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    # Else a service's answer from a pod on the same bridge comes back past the rules that sent the question there.
    with contextlib.suppress(CommandError, FileNotFoundError):  # where it is part of the kernel there is no module
        run("modprobe", "br_netfilter")
    Path("/proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1")


def remove_bridge() -> None:
    """The bridge goes, if it is there."""
    with contextlib.suppress(CommandError):
        run("ip", "link", "delete", BRIDGE)


def make_cgroups() -> None:
    """The kubelet's root in each hierarchy: by it the cluster's cgroups are told from those of another kubelet."""
    for hierarchy in _hierarchies():
        (hierarchy / CGROUP).mkdir(exist_ok=True)


def remove_cgroups() -> None:
    """Empty groups go, the innermost first."""
    for hierarchy in _hierarchies():
        groups = [path for path in (hierarchy / CGROUP).rglob("*") if path.is_dir()]
        for group in sorted([*groups, hierarchy / CGROUP], key=lambda path: -len(path.parts)):
            with contextlib.suppress(OSError):
                group.rmdir()


def _hierarchies() -> list[Path]:
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]


def pods() -> list[int]:
    """The shims of our containerd, and all processes below them: the pods."""
    shims = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if words[0].endswith(b"containerd-shim-runc-v2") and str(CONTAINERD).encode() in words:
                shims.append(int(path.parent.name))
    return processes.with_descendants(shims)


def unmount_below(*folders: Path) -> None:
    """Unmount what is mounted at or below these folders, the innermost first."""
    points = [line.split()[4].replace("\\040", " ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed(points):
        if any(Path(point).is_relative_to(folder) for folder in folders):
            with contextlib.suppress(CommandError):
                run("umount", "--lazy", point)


def remove_rules() -> None:
    """Delete the chains of kube-proxy and kubelet, and the rules that lead there."""
    for family in ("iptables", "ip6tables"):
        with contextlib.suppress(CommandError, FileNotFoundError):  # a kernel without IPv6 has no rules for it either
            kept = without_kubernetes(run(f"{family}-save"))
            if kept is not None:
                run(f"{family}-restore", input=kept)


def without_kubernetes(saved: str) -> str | None:
    """The output of iptables-save without Kubernetes' chains and rules; None when there are none."""
    lines = saved.splitlines()
    kept = [line for line in lines if "KUBE-" not in line]
    return "\n".join(kept) + "\n" if len(kept) < len(lines) else None


def remove_traces() -> None:
    """Links, records and sockets that kubelet, CNI and containerd's shims keep at fixed places."""
    for path in Path("/var/lib/cni/results").glob("*"):
        if str(RUN) in path.read_text(errors="replace"):  # the path of the pod's network namespace
            path.unlink()
    for path in (*SHIM_SOCKETS.glob("*"), DEVICE_PLUGINS / "kubelet.sock"):
        if path.is_socket() and not _answers(path):
            path.unlink()
    for link in LEGACY_LOGS.glob("*.log") if LEGACY_LOGS.exists() else ():
        if link.is_symlink() and "pfpnas-e2e" in str(link.readlink()):
            link.unlink()
    shutil.rmtree(RUN, ignore_errors=True)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
