"""`pfpnas run`, whole: check everything first, then drive the search, then say what came of it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from pfpnas_api.artifacts import ArtifactError
from pfpnas_api.kinds import NASExperiment
from pfpnas_operator.documents import DocumentError, Documents, check_for_one_machine, cross_check, load
from pfpnas_operator.local.adopting import adopted, by_hand
from pfpnas_operator.local.agent import AgentError, LocalAgent
from pfpnas_operator.local.driver import Interrupted, Setting, run_search, stop_signals
from pfpnas_operator.local.ending import FAILED, INTERRUPTED, finished, outcome
from pfpnas_operator.local.folder import RunFolder, begin_or_resume, free_space_problem
from pfpnas_operator.local.logbook import Logbook
from pfpnas_operator.local.mending import mended
from pfpnas_operator.local.preflight import preflight
from pfpnas_operator.local.progress import Display, Pace, opening_lines, picture
from pfpnas_operator.local.records import Records
from pfpnas_operator.local.results import report_of, write_best, write_deployable, write_report
from pfpnas_operator.local.server import RedisUnavailable
from pfpnas_operator.local.sources import read_sources
from pfpnas_operator.reconcile import Event, ExperimentObserved
from pfpnas_operator.report import summary_lines

FULL_BYTES = 2**20
"""With less room than this a disk is as good as full."""


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What the command line asked for."""

    paths: tuple[Path, ...]
    out: Path | None
    experiment: str | None
    redis_url: str | None
    local_agent: bool
    overrides: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Voice:
    """Where things are said: what the user asked for on one console, what went wrong on the other."""

    out: Console
    errors: Console

    def say(self, text: str) -> None:
        """A line of the result."""
        self.out.print(text, markup=False, highlight=False, soft_wrap=True)

    def complain(self, text: str, *, style: str = "red") -> None:
        """A line on what is wrong."""
        self.errors.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def perform(request: RunRequest, voice: Voice) -> int:
    """Run, and return the exit code.

    Raises:
        DocumentError, FolderError, PartMissing, DataMissing, AgentError, RedisUnavailable, ArtifactError: nothing had
            been started.
        KeyboardInterrupt: stopped before or after the search itself, or a second time.
    """
    wanted = wish(request)
    supernet, experiment, trials = wanted.supernets[0], wanted.experiments[0], wanted.trials
    for warning in (*check_for_one_machine(wanted), *cross_check(wanted)):
        voice.complain(f"warning: {warning}", style="yellow")
    config = wanted.agent_config_path
    folder = folder_of(request, experiment)
    with _terminable(), folder.lock():
        now = datetime.now(UTC)
        records, again = mended(folder, Records.of(*begin_or_resume(folder, supernet, experiment)), now=now)
        new = adopted(trials, [*records.finished, *records.active.values()], now=now)
        for trial in new:
            records.put(trial)
        records.sources = read_sources(folder, records.experiment, supernet=records.supernet)
        if finished(records):
            voice.say(f"This run has ended already; its result, from {folder.root}:")
            return _after(folder, records, config, voice)
        preflight(folder, records, redis_url=request.redis_url, agent_config=config)
        folder.write_supernet(records.supernet)
        for trial in (*again, *new):
            folder.write_trial(trial)
        folder.write_experiment(records.experiment)
        for line in opening_lines(records, folder.root, config):
            voice.say(line)
        return _drive(request, folder, records, config, voice)


def wish(request: RunRequest) -> Documents:
    """The one experiment that is asked for, with what belongs to it.

    Raises:
        DocumentError: the documents are wrong, or don't say which experiment, or lack the agent's file; or no agent
            could ever be heard.
    """
    if not request.local_agent and request.redis_url is None:
        raise DocumentError(
            "--no-agent needs --redis URL: agents elsewhere can't reach the Redis that a run starts for itself; start "
            "one that they reach, and name it here and to them"
        )
    documents = load(request.paths, overrides=request.overrides)
    experiment = choose(documents, request.experiment)
    return Documents(
        supernets=(documents.supernet_of(experiment),),
        experiments=(experiment,),
        trials=by_hand(documents.trials, experiment),
        agent_config_path=agent_config(documents, wanted=request.local_agent),
    )


def folder_of(request: RunRequest, experiment: NASExperiment) -> RunFolder:
    """The run's folder."""
    return RunFolder(request.out or Path("runs") / experiment.metadata.name)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM as Ctrl-C, also while nothing but this process runs."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def choose(documents: Documents, name: str | None) -> NASExperiment:
    """The experiment to run.

    Raises:
        DocumentError: there is none, or none of this name, or several and no name.
    """
    names = [experiment.metadata.name for experiment in documents.experiments]
    if name is None and len(names) == 1:
        return documents.experiments[0]
    if not names:
        raise DocumentError("no NASExperiment in the paths given: name its file or folder")
    if name is None:
        raise DocumentError(f"several experiments: choose one with --experiment ({', '.join(names)})")
    if name not in names:
        raise DocumentError(f"--experiment {name}: there is no such one; there are {', '.join(names)}")
    return documents.experiments[names.index(name)]


def agent_config(documents: Documents, *, wanted: bool) -> Path | None:
    """The local agent's file, or None when agents run elsewhere.

    Raises:
        DocumentError: one is wanted, and there is none.
    """
    if not wanted:
        return None
    if documents.agent_config_path is None:
        raise DocumentError(
            "no agent.yaml in the paths given: add one (see `pfpnas-agent --help`), or use --no-agent when an agent "
            "elsewhere measures"
        )
    return documents.agent_config_path


def _drive(request: RunRequest, folder: RunFolder, records: Records, config: Path | None, voice: Voice) -> int:
    setting = Setting(folder=folder, redis_url=request.redis_url, agent_config=config)
    metadata, pace = records.experiment.metadata, Pace()
    try:
        with (
            Logbook(folder.root / "log.jsonl", namespace=metadata.namespace, experiment=metadata.name) as logbook,
            stop_signals() as stop,
            Display(voice.out) as display,
        ):

            def announce(event: Event) -> None:
                logbook.write(event, now=datetime.now(UTC))
                display.tell(event)

            def watch(records: Records, observed: ExperimentObserved | None) -> None:
                display.show(picture(records, observed, pace=pace, now=datetime.now(UTC)))

            run_search(setting, records, stop=stop, announce=announce, watch=watch)
    except Interrupted:
        voice.complain("Interrupted; everything was stopped. The same command goes on from here.", style="yellow")
        return INTERRUPTED
    except (ArtifactError, AgentError, RedisUnavailable, OSError) as e:
        voice.complain(f"{e}\nEverything was stopped; the same command goes on from here once this is mended.")
        _complain_of_room(folder, voice)
        return FAILED
    return _after(folder, records, config, voice)


def _after(folder: RunFolder, records: Records, config: Path | None, voice: Voice) -> int:
    """Leave behind what isn't there yet, and say what came of the run."""
    try:
        write_best(folder, records)
        if records.experiment.status.started_at is not None:
            write_report(folder, records)
        if config is not None:
            problem = write_deployable(folder, records, LocalAgent(config, folder, redis_url=""))
            if problem:
                voice.complain(f"best/deployable.onnx was not made: {problem}", style="yellow")
    except (ArtifactError, OSError) as e:
        voice.complain(f"{e}\nThe same command goes on from here once this is mended.")
        _complain_of_room(folder, voice)
        return FAILED
    return _conclude(folder, records, voice)


def _conclude(folder: RunFolder, records: Records, voice: Voice) -> int:
    code, complaint = outcome(folder, records)
    if records.experiment.status.started_at is not None:
        for line in summary_lines(report_of(folder, records)):
            voice.say(line)
        voice.say(f"report: {folder.root / 'report.html'}")
    if complaint:
        voice.complain(complaint)
    if code == FAILED:
        _complain_of_room(folder, voice)
    return code


def _complain_of_room(folder: RunFolder, voice: Voice) -> None:
    """Processes whose disk is full fail in many ways, and can't even log why."""
    problem = free_space_problem(folder.root, least_bytes=FULL_BYTES)
    if problem:
        voice.complain(problem)
