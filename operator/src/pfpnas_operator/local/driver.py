"""One search on one machine, from its documents to its end: observe, decide, carry out, wait for the bell."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from pfpnas_api.bus import OperatorBus, WorkloadBus, connect
from pfpnas_api.bus.connection import OUTAGE
from pfpnas_api.kinds import is_true
from pfpnas_operator.local.agent import LocalAgent
from pfpnas_operator.local.executor import Executor
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.gate import hold_back
from pfpnas_operator.local.observer import Observer, Records
from pfpnas_operator.local.processes import Processes
from pfpnas_operator.local.server import RunRedis
from pfpnas_operator.reconcile import Event, ExperimentObserved, reconcile_experiment, reconcile_supernet

WAIT_MILLISECONDS = 500
"""Longest wait between two looks: heartbeats and deadlines ring no bell."""

OUTAGE_SECONDS = 1.0
"""Between two tries while Redis is away."""

Watcher = Callable[[Records, ExperimentObserved | None], None]
"""Called after every cycle with the records and what was seen."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a run needs to know beside its documents.

    Attributes:
        folder: Where everything is kept; locked by the caller.
        redis_url: A given server, or None for one of its own.
        agent_config: The local agent's file; None when agents run elsewhere.
    """

    folder: RunFolder
    redis_url: str | None
    agent_config: Path | None


class Interrupted(Exception):  # noqa: N818 - reads as the state it names
    """Ctrl-C or SIGTERM: everything was stopped in order."""


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second Ctrl-C ends at once."""
    stop = threading.Event()

    def asked(number: int, frame: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before: dict[signal.Signals, Any] = {n: signal.signal(n, asked) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_search(
    setting: Setting,
    records: Records,
    *,
    stop: threading.Event,
    announce: Callable[[Event], None],
    watch: Watcher,
) -> None:
    """Drive a search to its end; the records and the folder hold what came of it.

    Raises:
        Interrupted: `stop` was set.
        RedisUnavailable: no Redis to begin with.
        AgentError: the local agent dies again and again.
        ArtifactError: the folder can't be written.
    """
    folder = setting.folder
    with RunRedis(setting.redis_url, log=folder.logs / "redis.log") as server:
        processes = Processes(logs=folder.logs, redis_url=server.url, artifacts=str(folder.store.root.resolve()))
        agent = LocalAgent(setting.agent_config, folder, redis_url=server.url) if setting.agent_config else None
        try:
            _loop(_Run(setting, records, processes, server, agent, announce, watch), stop)
        finally:
            # The tuner and the workers first: what they still ask for nobody would answer.
            processes.stop_all()
            if agent is not None:
                agent.stop()


class _Run:
    """One run's parts, wired together."""

    def __init__(
        self,
        setting: Setting,
        records: Records,
        processes: Processes,
        server: RunRedis,
        agent: LocalAgent | None,
        announce: Callable[[Event], None],
        watch: Watcher,
    ) -> None:
        client = connect(server.url)
        self.server, self.agent, self.records, self.watch = server, agent, records, watch
        self.bus, self.announce = OperatorBus(client), announce
        self.observer = Observer(records=records, store=setting.folder.store, processes=processes, bus=self.bus)
        self.executor = Executor(
            folder=setting.folder,
            records=records,
            processes=processes,
            bus=self.bus,
            blobs=WorkloadBus(client),
            observer=self.observer,
            announce=announce,
        )
        self.bell = "0"

    def over(self) -> bool:
        """Whether the experiment has ended, or its Supernet failed."""
        ended = self.records.experiment.status.conditions
        failed = is_true(self.records.supernet.status.conditions, "Failed")
        return is_true(ended, "Succeeded") or is_true(ended, "Failed") or failed

    def cycle(self) -> None:
        """Look, decide, do."""
        now = datetime.now(UTC)
        self.executor.carry_out(reconcile_supernet(self.observer.supernet(now), now), now=now)
        observed: ExperimentObserved | None = None
        if self.records.supernet.status.predictor is not None:
            if self.agent is not None:
                self.agent.ensure()
            observed = self.observer.experiment(now)
            plan = reconcile_experiment(observed, now)
            self.executor.carry_out(hold_back(plan, observed) if self.agent else plan, now=now)
        self.watch(self.records, observed)

    def wait(self) -> None:
        """Until a workload rings, an agent answers, or it is time to look by oneself."""
        pool = self.records.experiment.spec.target.pool
        self.bell, _ = self.bus.wait_for_bell(after=self.bell, pool=pool, block_milliseconds=WAIT_MILLISECONDS)


def _loop(run: _Run, stop: threading.Event) -> None:
    run.bus.forget(experiment=run.records.experiment.metadata.uid)
    while True:
        if stop.is_set():
            raise Interrupted
        try:
            run.cycle()
            if run.over():
                return
            run.wait()
        except OUTAGE as e:
            revived = run.server.revive()
            text = "its server was started again" if revived else f"{e}"
            name = run.records.experiment.metadata.name
            run.announce(Event(type="Warning", reason="RedisAway", message=text, subject=name))
            time.sleep(0 if revived else OUTAGE_SECONDS)
