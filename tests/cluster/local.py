"""The local provider: a real single-node Kubernetes out of processes of this machine."""

import contextlib
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from cluster import certificates, components, host, images, packages, processes, programs, settings, volumes
from cluster.buildah import Buildah
from cluster.progress import phase, say
from cluster.settings import CACHE, CONTAINERD, KUBECONFIG, NODE, RUN, STATE
from cluster.shell import CommandError, run, wait_for

LOGS = STATE / "processes"
CERTIFICATES = STATE / "certificates"
SAVED = CACHE / "kernel-settings.json"
"""Outside the state folder, which a start empties: what a killed run changed must still be put back."""

FAILED = CACHE / "last-failure"
"""Logs of the components whose start failed."""

CONTAINERS = CACHE / "containerd"
"""containerd's images, kept from one cluster to the next."""

ORDER = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kubelet",
    "kube-proxy",
    "coredns",
)
CLUSTER_USERS = ("kubelet", "controller-manager", "scheduler", "proxy", "coredns")


def is_up() -> bool:
    """Whether all components of a cluster of this cache run."""
    return all(processes.running(name, LOGS) is not None for name in ORDER)


def ensure() -> bool:
    """Start a cluster unless one runs; whether it was started here. Two sessions that ask at once get the same one."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "cluster.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_up():
            renew_volumes()
            return False
        start()
        return True


def start() -> Path:
    """Start a fresh cluster and wait until pods can run; what a killed run left is cleaned first.

    Returns:
        The administrator's kubeconfig.

    Raises:
        CommandError, TimeoutError: something didn't start; the message holds the end of its log.
    """
    with phase("local cluster"):
        kubernetes, coredns = make_programs()
        stop()
        try:
            _start_all(kubernetes, coredns)
        except BaseException:
            if LOGS.exists():
                shutil.copytree(LOGS, FAILED, dirs_exist_ok=True)
            say(f"the processes' logs are kept in {FAILED}")
            stop()
            raise
    say(f"KUBECONFIG={KUBECONFIG}")
    return KUBECONFIG


def make_programs() -> tuple[Path, Path]:
    """Everything that a cluster is made of, into the cache; Kubernetes' components and CoreDNS."""
    packages.install_missing()
    kubernetes, coredns = programs.kubernetes(), programs.go_program("coredns")
    programs.kubectl()
    programs.go_program("helm")
    return kubernetes, coredns


def stop() -> None:
    """End every process and remove everything but the cache; safe to call at any time, also after a kill."""
    for name in reversed([name for name in ORDER if name != "containerd"]):
        processes.stop(name, LOGS)
    processes.end(host.pods(), politely=False)
    if processes.running("containerd", LOGS) is not None:
        _forget_containers()
    processes.stop("containerd", LOGS)
    host.unmount_below(RUN, STATE)
    host.remove_bridge()
    if SAVED.exists():  # only then was there a cluster of ours whose rules they are
        host.remove_rules()
    host.restore_settings(SAVED)
    host.remove_cgroups()
    host.remove_traces()
    shutil.rmtree(STATE, ignore_errors=True)


def renew_volumes() -> None:
    """Make the volumes anew whose claims are gone."""
    used = volumes.released(_kubectl("get", "pv", "-o", "json"), STATE / "volumes")
    if used:
        _kubectl("delete", "pv", *(item["metadata"]["name"] for item in used))
        _apply(used)


def _start_all(kubernetes: Path, coredns: Path) -> None:
    _prepare()
    with phase("containers"):
        _start_containerd()
        if _forget_containers():  # a killed run's: a fresh start of containerd knows nothing of them
            processes.stop("containerd", LOGS)
            _start_containerd()
        images.static_image(Buildah(), "pause")
    with phase("control plane"):
        _start_control_plane(kubernetes)
    with phase("node"):
        _start_node(kubernetes, coredns)


def _prepare() -> None:
    _refuse_another_cluster()
    STATE.mkdir(parents=True)
    RUN.mkdir(parents=True)
    host.save_settings(SAVED)
    host.make_bridge()
    host.make_cgroups()
    certificates.make_certificates(CERTIFICATES)
    (STATE / "resolv.conf").write_text("")
    (STATE / "Corefile").write_text(components.corefile(STATE / "coredns.kubeconfig"))
    (STATE / "cni").mkdir()
    _write_json(STATE / "cni" / "10-bridge.conflist", components.cni_config(STATE / "addresses"))
    pause = images.reference("pause", images.static_key("pause"))
    config = components.containerd_config(CONTAINERS, STATE / "cni", sandbox_image=pause)
    (STATE / "containerd.toml").write_text(config)
    _write_json(STATE / "kubelet.json", components.kubelet_config(STATE, CERTIFICATES))
    _write_json(STATE / "proxy.json", components.proxy_config(STATE / "proxy.kubeconfig"))
    for name in CLUSTER_USERS:
        _write_kubeconfig(STATE / f"{name}.kubeconfig", name)
    _write_kubeconfig(KUBECONFIG, "admin")


def _refuse_another_cluster() -> None:
    for port, what in ((10248, "a kubelet"), (10249, "a kube-proxy"), (23790, "an etcd of another test cluster")):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise CommandError(
                    f"{what} of someone else answers on port {port}: stop it, or use PFPNAS_E2E=existing"
                )


def _start_containerd() -> None:
    _start("containerd", components.containerd(STATE / "containerd.toml"))
    _ready("containerd", lambda: run("ctr", "--address", CONTAINERD, "version"))


def _start_control_plane(kubernetes: Path) -> None:
    _start("etcd", components.etcd(STATE / "etcd"))
    _start("kube-apiserver", components.api_server(kubernetes, CERTIFICATES))
    _ready("kube-apiserver", lambda: _kubectl("get", "--raw", "/readyz") == "ok")
    manager = components.controller_manager(kubernetes, CERTIFICATES, STATE / "controller-manager.kubeconfig")
    _start("kube-controller-manager", manager)
    _start("kube-scheduler", components.scheduler(kubernetes, STATE / "scheduler.kubeconfig"))
    role = components.dns_role(certificates.IDENTITIES["coredns"].user)
    offered = volumes.make_volumes(STATE / "volumes", settings.VOLUMES)
    _apply([*role, volumes.storage_class(), *offered])


def _start_node(kubernetes: Path, coredns: Path) -> None:
    config, kubeconfig = STATE / "kubelet.json", STATE / "kubelet.kubeconfig"
    _start("kubelet", components.kubelet(kubernetes, config, kubeconfig=kubeconfig, root=STATE / "kubelet"))
    _start("kube-proxy", [str(kubernetes), "kube-proxy", "--config", str(STATE / "proxy.json")])
    _start("coredns", [str(coredns), "-conf", str(STATE / "Corefile")])
    _ready("kubelet", lambda: _kubectl("wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=5s"))
    _ready("kube-controller-manager", lambda: _kubectl("get", "serviceaccount", "default"))
    _ready("kube-proxy", lambda: run("iptables", "-t", "nat", "-L", "KUBE-SERVICES", "-n"))


def _start(name: str, command: Iterable[str | Path]) -> None:
    processes.start(name, list(command), LOGS)
    say(f"started {name}")


def _ready(name: str, ready: Any) -> None:
    try:
        wait_for(f"{name} ready", ready, seconds=120)
    except TimeoutError as error:
        raise TimeoutError(f"{error}\n{name} said:\n{processes.tail(name, LOGS)}") from error


def _forget_containers() -> int:
    """Delete containerd's records of containers, whose processes are gone; how many there were."""
    ctr = ("ctr", "--address", CONTAINERD, "-n", "k8s.io")
    names = run(*ctr, "containers", "list", "-q").split()
    for name in names:
        for command in (("tasks", "delete", "--force", name), ("containers", "delete", name)):
            with contextlib.suppress(CommandError):  # a container without a task is the rule, not the exception
                run(*ctr, *command, timeout_seconds=20)
    return len(names)


def _apply(objects: list[dict[str, Any]]) -> None:
    _kubectl("apply", "-f", "-", input=yaml.safe_dump_all(objects))


def _kubectl(*words: str, input: str | None = None) -> str:
    return run(programs.kubectl(), "--kubeconfig", KUBECONFIG, *words, input=input)


def _write_kubeconfig(path: Path, identity: str) -> None:
    content = certificates.kubeconfig(CERTIFICATES, identity, server=settings.API, context=settings.CONTEXT)
    _write_json(path, content)


def _write_json(path: Path, content: object) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
