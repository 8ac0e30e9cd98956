"""One search on one machine, from its documents to its end: observe, decide, carry out, wait for the bell."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from redis.exceptions import RedisError

from pfpnas_api.bus import OperatorBus, WorkloadBus, connect
from pfpnas_api.bus.connection import OUTAGE
from pfpnas_api.kinds import is_true
from pfpnas_operator.driving import Executor, Observer, StoredManifests
from pfpnas_operator.driving.clock import moment_after
from pfpnas_operator.local.agent import LocalAgent
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.gate import hold_back
from pfpnas_operator.local.processes import Processes
from pfpnas_operator.local.records import Records
from pfpnas_operator.local.server import RedisUnavailable, RunRedis
from pfpnas_operator.reconcile import Event, ExperimentObserved, reconcile_experiment, reconcile_supernet

WAIT_MILLISECONDS = 500
"""Longest wait between two looks: heartbeats and deadlines ring no bell."""

OUTAGE_SECONDS = 1.0
"""Between two tries while Redis is away."""

MOST_REFUSALS = 10
"""A group that is gone with its server is made again in the next cycle; a right that is lacking stays lacking."""

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
    """An event that SIGINT and SIGTERM set; a second Ctrl-C kills what hasn't stopped yet."""
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
        RedisUnavailable: no Redis to begin with, or it refuses what was asked time and again.
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
            _stop(processes, agent)


def _stop(processes: Processes, agent: LocalAgent | None) -> None:
    """The tuner and the workers first: what they still ask for nobody would answer."""
    try:
        processes.stop_all()
    finally:
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
        store = setting.folder.store
        self.observer = Observer(records=records, manifests=StoredManifests(store), jobs=processes, bus=self.bus)
        self.executor = Executor(
            record=setting.folder,
            write_supernet=setting.folder.write_supernet,
            records=records,
            jobs=processes,
            store=store,
            bus=self.bus,
            blobs=WorkloadBus(client),
            observer=self.observer,
            announce=announce,
        )
        self.bell, self.begun, self.moved = "0", False, False
        self.now = datetime.fromtimestamp(0, UTC)

    def begin(self) -> None:
        """Forget what an earlier run of the same search left in a Redis that was given."""
        self.bus.forget(experiment=self.records.experiment.metadata.uid)
        self.begun = True

    def say(self, reason: str, message: str) -> None:
        """Announce what no decision says."""
        name = self.records.experiment.metadata.name
        self.announce(Event(type="Warning", reason=reason, message=message, subject=name))

    def over(self) -> bool:
        """Whether the experiment has ended, or its Supernet failed."""
        ended = self.records.experiment.status.conditions
        failed = is_true(self.records.supernet.status.conditions, "Failed")
        finished = is_true(ended, "Succeeded") or is_true(ended, "Failed")
        return failed or (finished and not self.records.active)

    def cycle(self) -> None:
        """Look, decide, do."""
        now = self.now = moment_after(self.now, clock=datetime.now(UTC))
        self.executor.carry_out(reconcile_supernet(self.observer.supernet(now), now), now=now)
        observed: ExperimentObserved | None = None
        if self.records.supernet.status.predictor is not None:
            if self.agent is not None:
                self.agent.ensure()
            observed = self.observer.experiment(now)
            plan = reconcile_experiment(observed, now)
            self.moved = bool(plan.create_trials or plan.trial_status or plan.status)
            self.executor.carry_out(hold_back(plan, observed) if self.agent else plan, now=now)
        self.watch(self.records, observed)

    def wait(self) -> None:
        """Until a workload rings, an agent answers, or it is time to look by oneself.

        At once when something was written: the step that follows from it waits for nobody else.
        """
        pool = self.records.experiment.spec.target.pool
        # Answers to others' tasks stay there until they are fetched: they would ring without end.
        own = None if self.observer.others_answers else pool
        longest = 0 if self.moved else WAIT_MILLISECONDS
        self.bell, _ = self.bus.wait_for_bell(after=self.bell, pool=own, block_milliseconds=longest)


def _loop(run: _Run, stop: threading.Event) -> None:
    outage = _Outage(run)
    while True:
        if stop.is_set():
            run.say("Interrupted", "stopping everything in order; Ctrl-C again kills what is left")
            raise Interrupted
        try:
            if not run.begun:
                run.begin()
            run.cycle()
            if run.over():
                return
            run.wait()
            outage.over()
        except RedisError as e:
            stop.wait(outage.met(e))


class _Outage:
    """Redis being away: its own server is started again, a given one is waited for; said once, not every second."""

    def __init__(self, run: _Run) -> None:
        self._run, self._said, self._refusals = run, "", 0

    def met(self, error: RedisError) -> float:
        """Do what can be done; seconds to wait before the next try.

        Raises:
            RedisUnavailable: it is there, but refuses what was asked, and goes on doing so.
        """
        self._run.observer.reanchor(datetime.now(UTC))
        revived = self._run.server.revive()
        if not revived and not isinstance(error, OUTAGE):
            self._refusals += 1
            if self._refusals >= MOST_REFUSALS:
                raise RedisUnavailable(f"Redis refuses what the search needs: {error}") from error
        self._say("its server was started again" if revived else str(error))
        return 0 if revived else OUTAGE_SECONDS

    def over(self) -> None:
        """Redis answers again."""
        self._said, self._refusals = "", 0

    def _say(self, message: str) -> None:
        if message == self._said:
            return
        self._said = message
        self._run.say("RedisAway", f"Redis: {message}")
