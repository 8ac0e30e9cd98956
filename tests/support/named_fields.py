"""Whether a refusal of `kubectl` or of the API server names the field that is wrong.

Theirs is said in other words than ours. Both give a field's path before a colon; but what a rule says of fields within
the mapping that it stands on has that mapping's path before it and the rest in its text, of a wrong key only its map is
named, and what every object has (`metadata`) is called as Go calls it.
"""

import re
from collections.abc import Iterator

_OURS = re.compile(r"\S+:\d+: (?:[A-Z]\w+(?:/\S+)?: )?(?P<path>[a-z]\S*?): ")
"""File and line, perhaps kind and name, then the path; what is said of a whole document has none."""

_WRONG_KEY = re.compile(r"\.(labels|annotations|nodeSelector|limits|requests)\..*\.\[key\]$")
"""The end of a path to a key of a map. A key may have dots, so only its map tells where it begins."""

_INDEX = re.compile(r"\[\d+\]")
"""The server counts which item of a list it is; ours may speak of the list."""

UNKNOWN = "unknown field"
"""Both say so. The server says nothing else then: such a document is not looked at any further."""


def path_in(says: str) -> str:
    """The path of the field that one of our own messages is about, without indices; of a key, that of its map.

    Raises:
        ValueError: it names none.
    """
    found = _OURS.match(says)
    if found is None:
        raise ValueError(f"no field is named in: {says}")
    return _INDEX.sub("", _WRONG_KEY.sub(r".\1", found["path"]))


def is_named(path: str, refusal: str) -> bool:
    """Whether a refusal names a field, or something within it."""
    said = _INDEX.sub("", refusal)
    return any(re.search(pattern, said) for pattern in _ways(path))


def _ways(path: str) -> Iterator[str]:
    """Patterns, one for each way of saying it."""
    yield _word(path)
    parts = path.split(".")
    for at in range(1, len(parts)):
        # A rule's text goes on with the field, from the mapping on which the rule stands: "spec: …: needs target.pool".
        yield rf"{_word('.'.join(parts[:at]))}: [^\n]*{_word('.'.join(parts[at:]))}"
    if parts[0] == "metadata" and len(parts) > 1:
        # Of a map, Go's decoder does not say which key it was; the newer of the two says the way to it too.
        yield _word(f"ObjectMeta.{parts[1]}")
        yield _word(f"ObjectMeta.metadata.{parts[1]}")


def _word(path: str) -> str:
    """A path that is no part of another one; what is within it may follow."""
    return rf"(?<![\w.\]/-]){re.escape(path)}(?![\w/-])"
