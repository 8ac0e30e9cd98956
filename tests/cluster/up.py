"""The local test cluster for a developer: `python tests/cluster/up.py [start|stop|status|prepare]`, as root.

`start` takes an optional further word `--fresh`: a cluster that runs is stopped first. `prepare` only fills the cache:
packages, programs and images, which take minutes the first time.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file, not as a module

from cluster import local, processes
from cluster.buildah import Buildah
from cluster.progress import say
from cluster.settings import KUBECONFIG
from cluster.shell import CommandError
from support.release import Images


def main() -> int:
    """Do what the command line says; 1 when it failed or, for `status`, when no cluster runs."""
    parser = argparse.ArgumentParser(description="A real single-node Kubernetes out of this machine's processes.")
    parser.add_argument("action", choices=("start", "stop", "status", "prepare"), nargs="?", default="start")
    parser.add_argument("--fresh", action="store_true", help="start: replace a cluster that runs")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: it installs packages, a bridge and iptables rules", file=sys.stderr)
        return 1
    try:
        actions = {"start": _start, "stop": _stop, "status": _status, "prepare": _prepare}
        return actions[options.action](fresh=options.fresh)
    except (CommandError, TimeoutError) as error:
        print(error, file=sys.stderr)
        return 1


def _start(*, fresh: bool) -> int:
    if fresh:
        local.start()
    else:
        local.ensure()
    print(KUBECONFIG)
    return 0


def _prepare(*, fresh: bool) -> int:
    local.make_programs()
    Images.build(Buildah(), load=False)
    say("prepared")
    return 0


def _stop(*, fresh: bool) -> int:
    local.stop()
    say("stopped")
    return 0


def _status(*, fresh: bool) -> int:
    for name in local.ORDER:
        pid = processes.running(name, local.LOGS)
        print(f"{name:24} {pid or 'not running'}")
    return 0 if local.is_up() else 1


if __name__ == "__main__":
    raise SystemExit(main())
