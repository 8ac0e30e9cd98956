"""`pfpnas run`, whole: check everything first, then drive the search, then say what came of it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from pfpnas_api.artifacts import ArtifactError
from pfpnas_api.kinds import (
    Condition,
    NASExperiment,
    NASExperimentStatus,
    Supernet,
    SupernetStatus,
    find_condition,
    is_true,
)
from pfpnas_api.messages import EXPERIMENT_REASONS
from pfpnas_operator.documents import DocumentError, Documents, cross_check, load
from pfpnas_operator.local.agent import AgentError, LocalAgent, check_target
from pfpnas_operator.local.driver import Interrupted, Setting, run_search, stop_signals
from pfpnas_operator.local.folder import FolderError, RunFolder, begin_or_resume, free_space_problem
from pfpnas_operator.local.logbook import Logbook
from pfpnas_operator.local.observer import Records
from pfpnas_operator.local.progress import Display, picture
from pfpnas_operator.local.results import write_best, write_deployable, write_report
from pfpnas_operator.local.server import RunRedis
from pfpnas_operator.reconcile import Event, ExperimentObserved, names
from pfpnas_operator.report import build_report, summary_lines

DONE, FAILED, INVALID, INFEASIBLE, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes of `pfpnas run`."""

LEAST_BYTES = 64 * 2**20
"""Room to begin with: checkpoints of the smallest spaces and a few dozen candidates."""

OWN_FAULT = EXPERIMENT_REASONS | {"BadInput"}
"""Reasons of a failed experiment or Supernet that its author can mend."""


AnyStatus = TypeVar("AnyStatus", SupernetStatus, NASExperimentStatus)


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What the command line asked for."""

    paths: tuple[Path, ...]
    out: Path | None
    experiment: str | None
    redis_url: str | None
    local_agent: bool
    overrides: tuple[str, ...]


def perform(request: RunRequest, console: Console) -> int:
    """Run, and return the exit code.

    Raises:
        DocumentError, FolderError, AgentError, RedisUnavailable, ArtifactError: nothing had been started.
    """
    documents = load(request.paths, overrides=request.overrides)
    experiment = choose(documents, request.experiment)
    supernet = documents.supernet_of(experiment)
    mine = replace(documents, experiments=(experiment,), supernets=(supernet,), trials=())
    for warning in cross_check(mine):
        console.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)
    config = agent_config(documents, wanted=request.local_agent)
    folder = RunFolder(request.out or Path("runs") / experiment.metadata.name)
    with folder.lock():
        records = mended(folder, Records.of(*begin_or_resume(folder, supernet, experiment, ())))
        if _finished(records):
            return _show_finished(folder, records, config, console)
        _preflight(request, folder, config, records)
        _say_begin(folder, records, console)
        return _drive(request, folder, records, config, console)


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


def _finished(records: Records) -> bool:
    """Whether the run has ended, and no larger budget makes it go on."""
    status = records.experiment.status
    if status.observed_generation != records.experiment.metadata.generation:
        return False
    return is_true(status.conditions, "Succeeded") or is_true(status.conditions, "Failed")


def mended(folder: RunFolder, records: Records) -> Records:
    """The records without failures that their author may have mended since: data, aliases, a disk that was full."""
    supernet, experiment = records.supernet, records.experiment
    for uid in names.supernet_manifests(supernet):
        manifest = folder.store.read_manifest(uid)
        if manifest is not None and manifest.outcome != "Done":
            folder.store.delete_ref(uid)
    if _true(supernet.status.conditions, "Failed"):
        records.supernet = supernet.model_copy(update={"status": _without_failure(supernet.status)})
    failure = _true(experiment.status.conditions, "Failed")
    if failure is not None and failure.reason in OWN_FAULT | {"JobFailed", "BuildFailed"}:
        status = _without_failure(experiment.status).model_copy(update={"search_finished_at": None})
        records.experiment = experiment.model_copy(update={"status": status})
    return records


def _without_failure(status: AnyStatus) -> AnyStatus:
    kept = tuple(c for c in status.conditions if c.type not in ("Failed", "Ready", "Succeeded"))
    return status.model_copy(update={"conditions": kept, "attempts": {}, "finished_at": None})


def _show_finished(folder: RunFolder, records: Records, config: Path | None, console: Console) -> int:
    console.print(f"This run has ended already; its result, from {folder.root}:", markup=False, highlight=False)
    if not (folder.root / "report.html").exists():
        return _after(folder, records, config, console)
    return _conclude(folder, records, console)


def _preflight(request: RunRequest, folder: RunFolder, config: Path | None, records: Records) -> None:
    """Everything that can be known to be wrong before anything is started."""
    problem = free_space_problem(folder.root, least_bytes=LEAST_BYTES)
    if problem:
        raise FolderError(problem)
    with RunRedis(request.redis_url, log=folder.logs / "redis.log"):
        pass
    if config is not None:
        check_target(config, records.supernet, records.experiment)
    folder.write_supernet(records.supernet)
    folder.write_experiment(records.experiment)


def _say_begin(folder: RunFolder, records: Records, console: Console) -> None:
    name, done = records.experiment.metadata.name, records.summary.succeeded
    verb = f"goes on (trials done: {done})" if records.supernet.status.started_at else "begins"
    console.print(f"{name} {verb} in {folder.root}", markup=False, highlight=False)


def _drive(request: RunRequest, folder: RunFolder, records: Records, config: Path | None, console: Console) -> int:
    setting = Setting(folder=folder, redis_url=request.redis_url, agent_config=config)
    metadata = records.experiment.metadata
    logbook = Logbook(folder.root / "log.jsonl", namespace=metadata.namespace, experiment=metadata.name)
    try:
        with stop_signals() as stop, Display(console) as display:

            def announce(event: Event) -> None:
                logbook.write(event, now=datetime.now(UTC))
                display.tell(event)

            def watch(records: Records, observed: ExperimentObserved | None) -> None:
                display.show(picture(records, observed, datetime.now(UTC)))

            run_search(setting, records, stop=stop, announce=announce, watch=watch)
    except Interrupted:
        console.print("Interrupted; everything was stopped. The same command goes on from here.", markup=False)
        return INTERRUPTED
    except (ArtifactError, AgentError, OSError) as e:
        console.print(f"{e}\nThe same command goes on from here once this is mended.", style="red", markup=False)
        return FAILED
    finally:
        logbook.close()
    return _after(folder, records, config, console)


def _after(folder: RunFolder, records: Records, config: Path | None, console: Console) -> int:
    try:
        write_best(folder, records)
        if config is not None:
            problem = write_deployable(folder, records, LocalAgent(config, folder, redis_url=""))
            if problem:
                console.print(f"best/deployable.onnx was not made: {problem}", style="yellow", markup=False)
        write_report(folder, records)
    except ArtifactError as e:
        console.print(f"{e}", style="red", markup=False)
        return FAILED
    return _conclude(folder, records, console)


def _conclude(folder: RunFolder, records: Records, console: Console) -> int:
    code, complaint = outcome(records.supernet, records.experiment)
    if complaint:
        console.print(complaint, style="red", markup=False, highlight=False)
    if records.experiment.status.started_at is None:
        return code
    report = build_report(records.supernet, records.experiment, records.finished)
    for line in summary_lines(report):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"report: {folder.root / 'report.html'}", markup=False, highlight=False, soft_wrap=True)
    return code


def outcome(supernet: Supernet, experiment: NASExperiment) -> tuple[int, str]:
    """Exit code and, where something went wrong, one readable message."""
    lost = _true(supernet.status.conditions, "Failed")
    if lost is not None:
        text = f"Supernet {supernet.metadata.name} failed ({lost.reason}): {lost.message}"
        return (INVALID if lost.reason in OWN_FAULT else FAILED), text
    failure = _true(experiment.status.conditions, "Failed")
    if failure is None:
        return DONE, ""
    text = f"{experiment.metadata.name} failed ({failure.reason}): {failure.message}"
    if failure.reason == "NoFeasibleArchitecture":
        return INFEASIBLE, text
    return (INVALID if failure.reason in OWN_FAULT else FAILED), text


def _true(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    found = find_condition(conditions, kind)
    return found if found is not None and found.status == "True" else None
