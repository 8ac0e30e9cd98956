"""Ten thousand finished Trials in one experiment on a real API server: does it come to its end, and does nothing grow?

    uv run python tests/benchmarks/scale.py --kubeconfig FILE [--trials 10000]

Trials are measured by a stand-in for a Pooled worker, so no pod is needed but the tuner's and one that waits; nodes are
not what is in question, so none are pretended. Rows: the end; the mean time of a cycle (the operator's own
`pfpnas_reconcile_seconds`) and its processor time a trial, in the last tenth of the trials against the first; the size
of the status as JSON; the operator's memory. There is no peer: Katib ends at about 14,500 trials, when a suggestion
outgrows etcd's 1.5 MB.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds tests/support only when it is told

import psutil
from kube_operator import Bench, bench_cluster, row

from support.outside_operator import Outside, outside_operator
from support.release import Images

NAME = "scale"
LOOK_SECONDS = 1.0
LONGEST_SECONDS = 7200.0


@dataclass(frozen=True)
class Look:
    """The operator at one moment."""

    moment: float
    finished: int
    processor: float
    """Seconds that its process has computed."""
    seconds: float
    """Spent in cycles, most of it waiting for the API server."""
    cycles: float

    @classmethod
    def at(cls, outside: Outside) -> "Look":
        """Now."""
        trials = (outside.experiment(NAME).get("status") or {}).get("trials") or {}
        finished = sum(int(trials.get(state, 0)) for state in ("succeeded", "failed"))
        assert outside.operator is not None
        used = psutil.Process(outside.operator.pid).cpu_times()
        return cls(time.time(), finished, used.user + used.system, *outside.reconciled())


def looked(outside: Outside) -> list[Look]:
    """The operator every second until the search's end."""
    looks, deadline = [Look.at(outside)], time.monotonic() + LONGEST_SECONDS
    while not outside.ended(NAME):
        if time.monotonic() > deadline:
            raise SystemExit(f"{looks[-1].finished} trials finished after {LONGEST_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
        looks.append(Look.at(outside))
    return [*looks, Look.at(outside)]


def between(looks: list[Look], trials: int, *, start: float, end: float) -> tuple[float, float]:
    """Milliseconds of a cycle, and of processor time a trial, between two shares of the trials."""
    inside = [look for look in looks if max(1, start * trials) <= look.finished <= end * trials]
    first, last = inside[0], inside[-1]
    cycle = (last.seconds - first.seconds) / (last.cycles - first.cycles)
    return 1e3 * cycle, 1e3 * (last.processor - first.processor) / (last.finished - first.finished)


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("--workloads-image", help="reference on the node; built where left out")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--parallel", type=int, default=50)
    asked = parser.parse_args()
    with bench_cluster(asked.kubeconfig) as cluster, tempfile.TemporaryDirectory() as folder:
        workloads = asked.workloads_image or Images.build(cluster.engine).workloads
        with outside_operator(cluster, Path(folder), workloads=workloads) as outside:
            bench = Bench(outside, asked)
            with bench.stand_in(NAME, "measuring_builds", trials=asked.trials, parallel=asked.parallel):
                looks = looked(outside)
            status = json.dumps(outside.experiment(NAME)["status"], separators=(",", ":"))
            assert outside.operator is not None
            memory = psutil.Process(outside.operator.pid).memory_info().rss / 1e6
    (early, early_processor), (late, late_processor) = (
        between(looks, asked.trials, start=start, end=start + 0.1) for start in (0.0, 0.9)
    )
    what = f"scale: {asked.trials} trials in one experiment"
    seconds = looks[-1].moment - looks[0].moment
    for found in (
        row(f"{what}: finished", looks[-1].finished, "trials", f">= {asked.trials}"),
        row(f"{what}: rate", looks[-1].finished / seconds, "trials/s", "-"),
        row(f"{what}: mean cycle, first tenth", early, "ms", "-"),
        row(f"{what}: mean cycle, last tenth over first", late / early, "ratio", "about 1"),
        row(f"{what}: operator's processor time a trial, first tenth", early_processor, "ms", "-"),
        row(f"{what}: the same, last tenth over first", late_processor / early_processor, "ratio", "about 1"),
        row(f"{what}: status", len(status) / 1024, "KiB", "< 64"),
        row(f"{what}: operator's memory", memory, "MB", "-"),
    ):
        print(json.dumps(found))


if __name__ == "__main__":
    main()
