"""`pfpnas`: run a search on this machine, check documents, look at results."""

import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pfpnas_api.artifacts import ArtifactError
from pfpnas_api.kinds import NASExperiment, Supernet, Trial
from pfpnas_operator.client.agents import agents
from pfpnas_operator.client.get import get
from pfpnas_operator.documents import DocumentError, Documents, cross_check, load
from pfpnas_operator.local.agent import AgentError, PrivateDataUnreadable, check_target
from pfpnas_operator.local.baseline import given_baseline
from pfpnas_operator.local.baseline_run import perform_beside
from pfpnas_operator.local.ending import DONE, INTERRUPTED, INVALID
from pfpnas_operator.local.folder import FolderError, RunFolder
from pfpnas_operator.local.parts import AGENT, PartMissing, missing_parts
from pfpnas_operator.local.preflight import DataMissing, public_data_problem
from pfpnas_operator.local.records import Records
from pfpnas_operator.local.results import write_report
from pfpnas_operator.local.run import RunRequest, Voice, perform
from pfpnas_operator.local.server import RedisUnavailable
from pfpnas_operator.local.status import status_lines

USER_ERRORS = (DocumentError, FolderError, PartMissing, DataMissing, AgentError, RedisUnavailable, ArtifactError)

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Platform-aware neural architecture search: a supernet is trained on public data, and an agent measures its "
    "subnets on private data and private hardware.",
)
app.add_typer(agents, name="agents")
app.add_typer(get, name="get")

Paths = Annotated[list[Path], typer.Argument(help="Files, or folders with *.yaml, as for kubectl apply -f.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a field, such as experiment.budget.maxTrials=12."),
]
Baseline = Annotated[
    str | None,
    typer.Option(
        metavar="random|DIR",
        help="Compare with another search for the same thing: `random` makes one by random search, with as many "
        "measurements, in the folder's own baseline/; or the folder of a run that is there.",
    ),
]
Name = Annotated[str | None, typer.Option("--experiment", help="Which one, where there are several.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pfpnas {version('pfpnas-operator')}")
        raise typer.Exit


@app.callback()
def common(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options of every command; the help text is the app's own."""


@app.command()
def run(
    paths: Paths,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default: runs/<experiment>.")] = None,
    experiment: Name = None,
    redis: Annotated[
        str | None, typer.Option(help="A running Redis; default: one of its own for the time of the run.")
    ] = None,
    agent: Annotated[
        bool,
        typer.Option(
            "--agent/--no-agent", help="Start the agent of agent.yaml here, or wait for others (needs --redis)."
        ),
    ] = True,
    overrides: Set = None,
    baseline: Baseline = None,
) -> None:
    """Train, search and measure on this machine; the same command goes on where it stopped.

    PATHs hold a Supernet, a NASExperiment, and (unless --no-agent) the agent's agent.yaml. With --baseline random,
    random search measures as often once the search has ended, and the report shows what the tuner has gained.

    Exit codes: 0 done; 2 invalid input, nothing was started; 3 no feasible architecture (the closest is reported);
    130 interrupted; 1 anything else that failed.
    """
    request = RunRequest(
        paths=tuple(paths),
        out=out,
        experiment=experiment,
        redis_url=redis,
        local_agent=agent,
        overrides=tuple(overrides or ()),
    )
    voice = Voice(out=Console(), errors=Console(stderr=True))
    if baseline is None:
        raise typer.Exit(_guarded(lambda: perform(request, voice)))
    raise typer.Exit(_guarded(lambda: perform_beside(request, voice, baseline=baseline)))


@app.command()
def validate(paths: Paths, overrides: Set = None) -> None:
    """Check documents, and the agent's file where there is one, without starting anything.

    Data that aren't here are only warned of: they may be where the search is going to run.
    """

    def check() -> int:
        documents = load(paths, overrides=overrides or ())
        for warning in (*cross_check(documents), *_missing_data(documents), *_unreadable_data(documents)):
            typer.echo(f"warning: {warning}", err=True)
        typer.echo(_counted(documents))
        return DONE

    raise typer.Exit(_guarded(check))


@app.command()
def status(folder: Annotated[Path, typer.Argument(help="Folder of a run.")]) -> None:
    """Show how far a run is, or what came of it."""

    def show() -> int:
        for line in status_lines(RunFolder(folder), _records(folder)):
            typer.echo(line)
        return DONE

    raise typer.Exit(_guarded(show))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a run.")],
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of another run to compare with; default: its own baseline/."),
    ] = None,
) -> None:
    """Write report.json and report.html of a run anew, also while it runs."""

    def write() -> int:
        records, own = _records(folder), RunFolder(folder)
        other = given_baseline(baseline, records.supernet, records.experiment, folder=own) if baseline else None
        page = write_report(own, records, baseline=other)
        typer.echo(f"wrote {page} and {page.with_suffix('.json')}")
        return DONE

    raise typer.Exit(_guarded(write))


def _records(folder: Path) -> Records:
    """What the folder of a run holds.

    Raises:
        FolderError: nothing was run there, or a document is damaged.
    """
    records = Records.of(*RunFolder(folder).read())
    if not records.experiment.metadata.uid:
        name = records.experiment.metadata.name
        raise FolderError(
            f"{folder} holds no run, only its documents: name the folder of a run; the default is runs/{name}"
        )
    return records


def _missing_data(documents: Documents) -> Iterator[str]:
    for supernet in documents.supernets:
        problem = public_data_problem(supernet)
        if problem:
            yield problem


def _unreadable_data(documents: Documents) -> Iterator[str]:
    """What is wrong with the private data; once, though several experiments use them."""
    config, said = documents.agent_config_path, set()
    if config is None:
        return
    missing = missing_parts(AGENT)
    if missing:
        yield f"{config} was not looked at: {missing}"
        return
    with tempfile.TemporaryDirectory(prefix="pfpnas-") as state:
        for experiment in documents.experiments:
            try:
                check_target(config, documents.supernet_of(experiment), experiment, state=Path(state))
            except PrivateDataUnreadable as e:
                said.add(str(e))
    yield from sorted(said)


def _counted(documents: Documents) -> str:
    everything: tuple[Supernet | NASExperiment | Trial, ...] = (
        *documents.supernets,
        *documents.experiments,
        *documents.trials,
    )
    parts = [f"{one.kind}/{one.metadata.name}" for one in everything]
    agent = f", agent {documents.agent_config_path}" if documents.agent_config_path else ""
    return f"valid: {', '.join(parts) or 'no documents'}{agent}"


def _guarded(action: Callable[[], int]) -> int:
    """The action's exit code; what a user did wrong as one readable message."""
    try:
        return action()
    except USER_ERRORS as e:
        typer.echo(str(e), err=True)
        return INVALID
    except KeyboardInterrupt:
        typer.echo("Interrupted. The same command goes on from here.", err=True)
        return INTERRUPTED


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
