"""What can be known to be wrong before anything is started: parts, room, public data, the agent's aliases, Redis."""

import shutil
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pfpnas_api.kinds import Supernet
from pfpnas_operator.local.agent import AgentError, check_target
from pfpnas_operator.local.folder import FolderError, RunFolder, free_space_problem
from pfpnas_operator.local.parts import AGENT, WORKLOADS, PartMissing, missing_parts
from pfpnas_operator.local.records import Records
from pfpnas_operator.local.server import RunRedis

LEAST_BYTES = 64 * 2**20
"""Room to begin with: checkpoints of the smallest spaces and a few dozen candidates."""

CONTENTS = {
    "CIFAR10": "cifar-10-batches-py",
    "CIFAR100": "cifar-100-python",
    "MNIST": "MNIST/raw",
    "FashionMNIST": "FashionMNIST/raw",
}
"""What the folder of a data set holds, as its archive unpacks; the training itself looks closer."""


class DataMissing(Exception):  # noqa: N818 - reads as the state it names
    """The public data are not where the Supernet says."""


def preflight(folder: RunFolder, records: Records, *, redis_url: str | None, agent_config: Path | None) -> None:
    """Check, and write nothing but Redis' own log and what the agent decodes of its data.

    Raises:
        PartMissing, FolderError, DataMissing, AgentError, RedisUnavailable: names the field or file, and the remedy.
    """
    problem = missing_parts(WORKLOADS, *([AGENT] if agent_config else []))
    if problem:
        raise PartMissing(problem)
    problem = free_space_problem(folder.root, least_bytes=LEAST_BYTES)
    if problem:
        raise FolderError(problem)
    if records.supernet.status.checkpoint is None:
        problem = public_data_problem(records.supernet)
        if problem:
            raise DataMissing(problem)
    if agent_config is not None:
        _check_agent(folder, records, agent_config)
    with RunRedis(redis_url, log=folder.logs / "redis.log"):
        pass


def _check_agent(folder: RunFolder, records: Records, config: Path) -> None:
    try:
        check_target(config, records.supernet, records.experiment, state=folder.agent_state)
    except AgentError:
        if not folder.has_documents():
            shutil.rmtree(folder.agent_state, ignore_errors=True)
        raise


def public_data_problem(supernet: Supernet) -> str | None:
    """What is wrong with the public data as far as a glance tells; None where nothing is seen, or none are needed."""
    dataset = supernet.spec.dataset
    if dataset.uri is None or dataset.uri.startswith("sha256:"):
        return None
    place = Path(unquote(urlsplit(dataset.uri).path)) if dataset.uri.startswith("file:") else Path(dataset.uri)
    wrong = _data_problem(dataset.format, place)
    return f"Supernet/{supernet.metadata.name}: spec.dataset.uri: {wrong}" if wrong else None


def _data_problem(form: str, place: Path) -> str | None:
    inside = CONTENTS.get(form)
    if inside is not None and not (place / inside).is_dir():
        return f"{place} does not hold {inside}/, the unpacked {form}; nothing is downloaded, so put it there"
    if not place.exists():
        return f"{place} does not exist; nothing is downloaded, so put the data there"
    if form == "NPZ" and not zipfile.is_zipfile(place):
        return f"{place} is no .npz file, or a truncated one: make or copy it again"
    return None
