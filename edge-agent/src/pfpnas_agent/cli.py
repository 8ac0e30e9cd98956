"""The command line of the device's owner."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from pfpnas_agent import logs
from pfpnas_agent.config import AgentConfig, ConfigError, load
from pfpnas_agent.state import StateDir, StateError
from pfpnas_agent.stopping import stop_when_told
from pfpnas_api.artifacts import ArtifactError
from pfpnas_api.bus import AgentBus, BusError, connect, redacted

INVALID = 2
"""Exit code: the config, a file or an option is wrong; nothing was started."""

FAILED = 1
"""Exit code: this device failed while the agent was serving."""

app = typer.Typer(
    name="pfpnas-agent",
    help="Measure candidate networks on this device and its private data.\n\nIt reads tasks from one Redis server, "
    "runs ONNX files (never code), and answers with a handful of numbers. Nothing listens here. Begin with 'check', "
    "look at 'preview', then 'run'.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Config = Annotated[Path, typer.Option("--config", "-c", help="The agent's YAML file.", show_default=True)]
State = Annotated[Path | None, typer.Option("--state", help="State directory, instead of the config's stateDir.")]
DEFAULT_CONFIG = Path("agent.yaml")


def main() -> None:
    """Run the command line."""
    app()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pfpnas-agent {version('pfpnas-agent')}")
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
    config: Config = DEFAULT_CONFIG,
    redis: Annotated[
        str | None, typer.Option(help="Redis URL; goes before PFPNAS_REDIS_URL and the config's redis.url.")
    ] = None,
    state: State = None,
) -> None:
    """Serve tasks until stopped (Ctrl-C or SIGTERM).

    Redis may come and go: the agent waits. A measurement that was finished is on disk and is sent later, not measured
    again. The log goes to standard error, one JSON object a line, and stays on this device.
    """
    from pfpnas_agent.heart import Heart  # noqa: PLC0415 - each command loads what it needs
    from pfpnas_agent.journal import Journal  # noqa: PLC0415
    from pfpnas_agent.loop import Agent, refusal  # noqa: PLC0415
    from pfpnas_agent.perform import Performer  # noqa: PLC0415

    with _one_message():
        settings, directory = _opened(config, state)
        directory.lock()
        url = settings.redis_url(redis, os.environ)
        client = connect(url)
        refused = refusal(client.ping)
        if refused:
            raise BusError(f"Redis at {redacted(url)} refuses this agent ({refused}): check user and password")
        agent = settings.agent_id(directory.agent_id())
        journal = Journal(directory.journal)
    logs.to_stderr()
    stop_when_told()
    logs.info("agent starts", agent=agent, pool=settings.pool, redis=redacted(url), state=str(directory.root))
    bus = AgentBus(client, pool=settings.pool, agent=agent)
    heart = Heart(AgentBus(connect(url), pool=settings.pool, agent=agent))
    try:
        performer = Performer(settings, directory)
        Agent(bus, heart, journal=journal, performer=performer, redis=redacted(url)).run()
    except OSError as e:
        _fail(f"stateDir: {e.filename or directory.root} failed ({e.strerror})", code=FAILED)


@app.command()
def check(
    config: Config = DEFAULT_CONFIG,
    state: State = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    redis: Annotated[str | None, typer.Option(help="Redis URL, as for run.")] = None,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Leave Redis out: a file for `pfpnas run` needs none, since the run brings it."),
    ] = False,
    pool: Annotated[str | None, typer.Option(help="Pool that an experiment names.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Namespace that an experiment is of.")] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Data set that an experiment names; looks at what is named only.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="Backend that an experiment names; looks at what is named only.")
    ] = None,
    head: Annotated[str | None, typer.Option(help="Head that an experiment names: Fitted or Supernet.")] = None,
    classes: Annotated[int | None, typer.Option(help="Number of the supernet's classes, for head Supernet.")] = None,
) -> None:
    """Show hardware, backends and data sets, and try Redis; exit with 2 if the agent could not work so.

    Sends nothing but the login and the question whether tasks can be taken; takes none. With --offline it sends nothing
    at all. With --pool, --namespace, --dataset, --backend, --head and --classes it answers for one experiment: is what
    it will ask for here?
    """
    from pfpnas_agent.checking import Expected, lines, redis_of  # noqa: PLC0415
    from pfpnas_agent.checking import check as checked  # noqa: PLC0415

    with _one_message():
        if head not in (None, "Fitted", "Supernet"):
            raise ConfigError(f"--head is {head!r}; allowed are Fitted and Supernet")
        settings, directory = _opened(config, state)
        expected = Expected(
            pool=pool, namespace=namespace, dataset=dataset, backend=backend, head=head, classes=classes
        )
        found = redis_of(settings, redis, os.environ, offline=offline)
        report = checked(settings, directory, expected, redis=found, progress=_tell)
    if as_json:
        typer.echo(json.dumps(report.document(), indent=2))
    else:
        for line in lines(report):
            typer.echo(line)
    if report.problems:
        _fail("; ".join(report.problems))


@app.command()
def join(
    string: Annotated[str, typer.Argument(help="What `pfpnas agents add` printed; - reads it from standard input.")],
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Join a cluster by the string that its owner gave you, and try the connection.

    The string holds a password: 'pfpnas-agent join -' keeps it out of the shell's history. It is kept beside the
    config (agent.join, readable by you alone), and the config names it; nothing else in your file is lost, and what it
    said of pool and redis is commented out. Joining again takes the new string. Sends nothing but the login.
    """
    from pfpnas_agent import joining  # noqa: PLC0415

    with _one_message():
        text = sys.stdin.read() if string == "-" else string
        joined = joining.join(text, config)
        for line in joining.told(joined, config):
            typer.echo(line)
        for line in joining.tried(joined):
            typer.echo(line)
        load(config)
    typer.echo(f"next: pfpnas-agent check --config {config}, then pfpnas-agent run --config {config}")


@app.command()
def preview(config: Config = DEFAULT_CONFIG, state: State = None) -> None:
    r"""Print the exact bytes that would be sent: a heartbeat, and the results of the journal (or a sample).

    Line ends show as \r\n and the parts have their lengths before them, as Redis' protocol writes them. The agent also
    asks: for tasks, and for the chunks of the models that they name.
    """
    from pfpnas_agent import preview as bytes_of  # noqa: PLC0415
    from pfpnas_agent.journal import Journal  # noqa: PLC0415
    from pfpnas_api.messages import Heartbeat  # noqa: PLC0415

    with _one_message():
        settings, directory = _opened(config, state)
        agent = settings.agent_id(directory.agent_id())
        kept = Journal(directory.journal).kept()
    busy = Heartbeat(state="Busy", task_id=(kept or [bytes_of.SAMPLE])[-1].task_id)
    typer.echo("# heartbeat, every 2 seconds: idle, busy")
    for says in (Heartbeat(state="Idle"), busy):
        typer.echo(_printable(bytes_of.heartbeat(settings.pool, agent, says)))
    typer.echo("# results, one a task" if kept else "# result, one a task (a sample: the journal is empty)")
    for measured in kept or [bytes_of.SAMPLE]:
        typer.echo(_printable(bytes_of.result(settings.pool, agent, measured)))


@app.command()
def export(
    model: Annotated[Path, typer.Option(help="The candidate, such as best/model.onnx of a run.")],
    dataset: Annotated[str, typer.Option(help="Alias of the data set that the head is fitted to.")],
    out: Annotated[Path, typer.Option(help="The deployable model to write.")],
    config: Config = DEFAULT_CONFIG,
    state: State = None,
) -> None:
    """Write the deployable model: the candidate's backbone and a head fitted here, in one ONNX file.

    Input 'images' as the candidate's, output 'logits' for this data set's own classes. The head is fitted to the
    training split only, so that the accuracy measured before is this file's. Needs the package onnx.
    """
    from pfpnas_agent import export as exporting  # noqa: PLC0415
    from pfpnas_agent.datasets import DataError  # noqa: PLC0415

    with _one_message():
        settings, directory = _opened(config, state)
        try:
            made = exporting.export(settings, directory, model=model, dataset=dataset, out=out)
        except exporting.ExportError as e:
            _fail(str(e))
        except DataError as e:
            _fail(f"datasets.{dataset}: {e}")
    typer.echo(
        f"{out}: {made.bytes} bytes, {made.classes} classes, head fitted to {made.train_images} images, "
        f"validation accuracy {made.validation_accuracy:.4f}"
    )


def _opened(config: Path, state: Path | None) -> tuple[AgentConfig, StateDir]:
    settings = load(config)
    directory = StateDir(state or settings.state_dir)
    directory.make()
    return settings, directory


@contextmanager
def _one_message() -> Iterator[None]:
    try:
        yield
    except (ConfigError, StateError, BusError, ArtifactError) as e:
        _fail(str(e))


def _tell(done: int, total: int) -> None:
    """To a person who waits; programs read standard error as the reason of a failure."""
    if done < total and sys.stderr.isatty():
        typer.echo(f"{done} of {total} images prepared; an interrupted preparation goes on the next time", err=True)


def _fail(message: str, *, code: int = INVALID) -> NoReturn:
    typer.echo(f"pfpnas-agent: {message}", err=True)
    raise typer.Exit(code)


def _printable(content: bytes) -> str:
    return content.decode("ascii", errors="backslashreplace").replace("\r\n", "\\r\\n")
