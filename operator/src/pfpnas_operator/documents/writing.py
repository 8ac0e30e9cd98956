"""Documents as YAML that every reader understands alike."""

import re
from typing import TYPE_CHECKING, Any

import yaml

from pfpnas_api.kinds import NASExperiment, Supernet, Trial

_NUMBER_LIKE = re.compile(r"[-+.]?[0-9][-+0-9_.:eExXoO]*|[-+]?\.(inf|nan)", re.IGNORECASE)
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", ""})


if TYPE_CHECKING:
    _Base = yaml.SafeDumper
else:
    # The same text from libyaml, a fifth of the time; a search writes each of its trials half a dozen times.
    _Base = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Base):
    """Writes lists of plain values on one line, and quotes all text that some reader takes for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        """Equal parts are written out, never as anchor and alias."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    risky = value.lower() in _WORDS or _NUMBER_LIKE.fullmatch(value) is not None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if risky else None)


def _list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.SequenceNode:
    plain = not any(isinstance(value, dict | list) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=plain)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)


def dump(resource: Supernet | NASExperiment | Trial) -> str:
    """The document in YAML: apiVersion, kind, metadata, spec, and status when there is one. `load` reads it back."""
    document = resource.document()
    metadata = {key: value for key, value in document["metadata"].items() if value not in ("", {}, [])}
    ordered = {"apiVersion": document["apiVersion"], "kind": document["kind"], "metadata": metadata}
    ordered["spec"] = document["spec"]
    if resource.status != type(resource.status)():
        ordered["status"] = document["status"]
    text: str = yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
