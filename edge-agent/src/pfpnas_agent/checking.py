"""`pfpnas-agent check`: is what the file promises really there, and is it let in? Takes no task."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pfpnas_agent import reaching
from pfpnas_agent.config import DEFAULT_BACKEND, AgentConfig, CommandBackend, ConfigError, OnnxRuntimeBackend
from pfpnas_agent.datasets import DataError, Prepared, Progress, prepare, splits
from pfpnas_agent.hardware import Hardware, hardware
from pfpnas_agent.state import StateDir
from pfpnas_api.bus import BusError, connect

ASKING = "check"
"""Under this name Redis is asked: an agent of the same name would lose nothing by it."""


@dataclass(frozen=True)
class Expected:
    """What an experiment is going to ask for; None is not asked."""

    pool: str | None = None
    namespace: str | None = None
    dataset: str | None = None
    backend: str | None = None
    head: str | None = None
    classes: int | None = None
    """Of the supernet."""


@dataclass(frozen=True)
class Found:
    """One alias (of Redis: its address): what is there, or what is wrong with it."""

    alias: str
    shown: dict[str, Any]
    problem: str | None = None

    def document(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {"alias": self.alias, **self.shown, **({"problem": self.problem} if self.problem else {})}


@dataclass(frozen=True)
class Report:
    """What `check` found."""

    pool: str
    namespaces: tuple[str, ...]
    redis: Found
    hardware: Hardware
    backends: list[Found]
    datasets: list[Found]
    problems: list[str]

    def document(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "pool": self.pool,
            "namespaces": list(self.namespaces),
            "redis": self.redis.document(),
            "hardware": asdict(self.hardware),
            "backends": [found.document() for found in self.backends],
            "datasets": [found.document() for found in self.datasets],
            "problems": self.problems,
        }


def check(config: AgentConfig, state: StateDir, expected: Expected, *, redis: Found, progress: Progress) -> Report:
    """Look at hardware, backends and data sets; where an alias is expected, at what is expected only.

    Args:
        config: The agent's own file.
        state: Where decoded images are kept.
        expected: What an experiment names.
        redis: What `redis_of` found.
        progress: Told while images are decoded.
    """
    everything = expected.backend is None and expected.dataset is None
    backends = [_backend(config, alias) for alias in _backends(config) if everything or alias == expected.backend]
    named = [alias for alias in config.datasets if everything or alias == expected.dataset]
    datasets = [_dataset(config, alias, state, progress) for alias in named]
    problems = [found.problem for found in (redis, *backends, *datasets) if found.problem]
    if everything and not config.datasets:
        problems.append(_NO_DATA)
    return Report(
        pool=config.pool,
        namespaces=config.namespaces,
        redis=redis,
        hardware=hardware(),
        backends=backends,
        datasets=datasets,
        problems=[*_mismatches(config, expected, datasets), *problems],
    )


_NO_DATA = (
    "datasets: the config has none, so no experiment finds its data here: add yours, such as "
    "'datasets: {scans: {format: Folder, path: scans}}'"
)


def redis_of(config: AgentConfig, override: str | None, environment: Mapping[str, str], *, offline: bool) -> Found:
    """Is Redis named, and does it let this agent in?

    Args:
        config: The agent's own file.
        override: An address that goes before all others.
        environment: May name one as well.
        offline: Connect to nothing; then an address may also be missing, since `pfpnas run` brings its own.
    """
    named = config.named_redis(override, environment)
    if offline and not named and config.redis.password_file is None:
        return Found("none in the config", {"says": ["not tried"]})
    shown = "none" if not named else reaching.place(named)
    try:
        connect(
            named or "redis://"
        ).close()  # an address that can't be read is refused before a password is put into it
        url = config.redis_url(override, environment)
        shown = reaching.described(url)
        says = ["not tried"] if offline else _tried(config, url, overridden=named != config.named_redis(None, {}))
    except ConfigError as e:
        return Found(shown, {}, str(e))
    except BusError as e:
        return Found(shown, {}, f"redis: {e}")
    return Found(shown, {"says": says})


def _tried(config: AgentConfig, url: str, *, overridden: bool) -> list[str]:
    joined = config.joined and not overridden
    return list(reaching.tried(url, pool=config.pool, agent=ASKING, joined=joined))


def _backends(config: AgentConfig) -> list[str]:
    return list(dict.fromkeys([DEFAULT_BACKEND, *config.backends]))


def _mismatches(config: AgentConfig, expected: Expected, datasets: list[Found]) -> Iterator[str]:
    if expected.pool not in (None, config.pool):
        yield f"pool: the experiment names {expected.pool!r}, this agent serves {config.pool!r}"
    if expected.namespace not in (None, *config.namespaces):
        served = ", ".join(config.namespaces)
        yield (
            f"namespaces: the experiment is of {expected.namespace!r}, this agent serves {served}: "
            f"add {expected.namespace} to its namespaces"
        )
    if expected.backend is not None and config.backend(expected.backend) is None:
        yield f"backends: no {expected.backend!r} in the config; known are {', '.join(_backends(config))}"
    if expected.dataset is not None and expected.dataset not in config.datasets:
        known = ", ".join(config.datasets) or "none"
        yield f"datasets: no {expected.dataset!r} in the config; known are {known}"
    for found in datasets:
        classes = found.shown.get("classes")
        if expected.head == "Supernet" and None not in (classes, expected.classes) and classes != expected.classes:
            yield (
                f"datasets.{found.alias}: it has {classes} classes, the supernet {expected.classes}: "
                "head Supernet needs the same ones; use head Fitted"
            )


def _backend(config: AgentConfig, alias: str) -> Found:
    backend = config.backend(alias)
    if isinstance(backend, CommandBackend):
        return Found(alias, {"type": "command", "argv": list(backend.argv)})
    assert isinstance(backend, OnnxRuntimeBackend)
    import onnxruntime  # noqa: PLC0415 - only `check` pays for it

    shown = {"type": "onnxruntime", "version": onnxruntime.__version__, "providers": list(backend.providers)}
    available = onnxruntime.get_available_providers()
    missing = [name for name in backend.providers if name not in available]
    problem = f"backends.{alias}: this onnxruntime has no {', '.join(missing)}; it has {', '.join(available)}"
    return Found(alias, shown, problem if missing else None)


def _dataset(config: AgentConfig, alias: str, state: StateDir, progress: Progress) -> Found:
    dataset = config.datasets[alias]
    shown: dict[str, Any] = {"format": dataset.format}
    try:
        data = prepare(alias, dataset.model_dump(mode="json"), state.cache, progress=progress)
        for split in range(len(splits.NAMES)):
            data.rows(split)
    except DataError as e:
        return Found(alias, shown, f"datasets.{alias}: {e}")
    return Found(alias, {**shown, **_figures(data)})


def _figures(data: Prepared) -> dict[str, Any]:
    counts = {name: int((data.split == split).sum()) for split, name in enumerate(splits.NAMES)}
    size = f"{data.size[1]}x{data.size[0]}" if data.size else "various"
    return {
        "images": len(data.labels),
        "classes": data.classes,
        "size": size,
        "colour": "grey" if data.grey else "RGB",
        "splits": counts,
    }


def lines(report: Report) -> Iterator[str]:
    """The report for a person."""
    machine = report.hardware
    yield f"pool      {report.pool}"
    yield f"serves    namespaces {', '.join(report.namespaces)}"
    yield f"redis     {': '.join([report.redis.alias, *_said(report.redis)])}{_marked(report.redis)}"
    yield f"cpu       {machine.cpu}, {machine.cores} cores, {machine.memory_bytes / 2**30:.1f} GiB memory"
    if machine.board:
        yield f"board     {machine.board}"
    for name, found in (("gpu", machine.gpus), ("pci", machine.pci), ("usb", machine.usb)):
        yield f"{name}       " + ("; ".join(found) or "none found")
    for backend in report.backends:
        what = backend.shown.get("argv") or backend.shown["providers"]
        yield f"backend   {backend.alias}: {backend.shown['type']} {' '.join(what)}{_marked(backend)}"
    for dataset in report.datasets:
        yield f"data set  {dataset.alias}: {dataset.shown['format']}{_in_words(dataset.shown)}{_marked(dataset)}"


def _said(redis: Found) -> Iterator[str]:
    if "says" in redis.shown:
        yield "; ".join(redis.shown["says"])


def _marked(found: Found) -> str:
    return "  (can't be used, see below)" if found.problem else ""


def _in_words(shown: dict[str, Any]) -> str:
    if "images" not in shown:
        return ""
    counts = ", ".join(f"{count} {name.lower()}" for name, count in shown["splits"].items())
    return f", {shown['images']} {shown['colour']} images {shown['size']}, {shown['classes']} classes: {counts}"
