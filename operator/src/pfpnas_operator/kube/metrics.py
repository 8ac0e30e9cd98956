"""What Prometheus sees. Labels are bounded: kinds, states, pools and experiments, never trials or agents."""

import contextlib
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, start_http_server

PORT: Final = 9090

RECONCILE_SECONDS: Final = Histogram(
    "pfpnas_reconcile_seconds",
    "Time of one cycle: looking, deciding, carrying out.",
    ["kind"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
DECIDE_SECONDS: Final = Histogram(
    "pfpnas_decide_seconds",
    "Time of the decision alone.",
    ["kind"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
)
ERRORS: Final = Counter(
    "pfpnas_reconcile_errors_total", "Cycles that ended in an error, and were tried again.", ["kind", "error"]
)
KEPT: Final = Gauge("pfpnas_resources", "Resources that are kept.", ["kind"])
TRIALS: Final = Gauge("pfpnas_trials", "Trials by state.", ["namespace", "experiment", "state"])
BEST: Final = Gauge("pfpnas_best_score", "Score of the best trial.", ["namespace", "experiment"])
REDIS_UP: Final = Gauge("pfpnas_redis_up", "Whether Redis answers.")
REDIS_USERS: Final = Gauge("pfpnas_redis_users", "Whether searches and agents are Redis users of their own.")
WATCH_MISSES: Final = Counter("pfpnas_watch_misses_total", "Changes that the watch did not tell of, found by looking.")
AGENTS: Final = Gauge("pfpnas_agents", "Agents that are heard.", ["pool"])
TASKS: Final = Gauge("pfpnas_tasks", "Measurements on the road.", ["pool"])
SWEPT: Final = Counter("pfpnas_swept_total", "Things whose owner was gone, removed.", ["thing"])
EVENTS_DROPPED: Final = Counter(
    "pfpnas_events_dropped_total", "Events that were not posted, since there were too many."
)

STATES: Final = ("pending", "running", "succeeded", "failed", "infeasible")


def forget_experiment(namespace: str, name: str) -> None:
    """Take away the series of an experiment that is gone."""
    for state in STATES:
        _remove(TRIALS, namespace, name, state)
    _remove(BEST, namespace, name)


def forget_pool(pool: str) -> None:
    """Take away the series of a pool that no search uses."""
    _remove(AGENTS, pool)
    _remove(TASKS, pool)


def _remove(gauge: Gauge, *labels: str) -> None:
    with contextlib.suppress(KeyError):
        gauge.remove(*labels)


def serve(port: int = PORT) -> None:
    """Answer on /metrics, in a thread of its own.

    Raises:
        OSError: the port is taken.
    """
    start_http_server(port)
