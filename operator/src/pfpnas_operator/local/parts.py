"""What `pfpnas run` needs besides this command: the workloads, and the agent where it runs here."""

from importlib.util import find_spec

WORKLOADS = "pfpnas_workloads"
AGENT = "pfpnas_agent"

_INSTALL = (
    "this is the `pfpnas` command alone, which serves the users of a cluster; a run here needs the whole checkout of "
    "PFP-NAS: call `uv run pfpnas …` in it"
)


class PartMissing(Exception):  # noqa: N818 - reads as the state it names
    """A part of PFP-NAS isn't installed; the message says which, and how to get it."""


def missing_parts(*needed: str) -> str | None:
    """Which of these packages aren't installed here, with the remedy; None where all are."""
    missing = [name for name in needed if find_spec(name) is None]
    if not missing:
        return None
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed: {_INSTALL}"
