"""A strict reader of YAML: what other readers would understand differently is refused, and every value has its line.

Kubernetes' tools read YAML 1.1 (`no` is false, `010` is 8, `1:30` is 90), others 1.2. A document must mean the same to
all of them, so a plain scalar on which they differ has to be quoted; repeated keys, merge keys and tags are refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pfpnas_operator.documents.problems import FieldPath, Problem, shown

# The same nodes and marks from libyaml, a tenth of the time; a run's folder holds hundreds of trials.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_FILE_BYTES = 1024 * 1024
"""As much as etcd would take of one object; a bigger file is no document of ours."""

_MAX_VALUES = 50_000
"""Values of one document, aliases followed: nested aliases grow without bound."""

_MAX_DEPTH = 40
"""Levels of nesting; ours have ten. An alias to something around it has no end."""

_MAX_DIGITS = 32
"""Characters of a number: more than a float's, and no field takes more."""

_TOO_DEEP = f"is nested deeper than {_MAX_DEPTH} levels"

_TAG = "tag:yaml.org,2002:"
_DECIMAL_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL_FLOAT = re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+]?[0-9]+)?")
_EXPONENT = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+")
_BOOLEANS = {"true": True, "false": False}
_ONE_LETTER = frozenset("yYnN")


@dataclass(frozen=True)
class RawDocument:
    """One YAML document: plain values, and the line (from 1) of every field."""

    file: Path
    line: int
    value: Any
    lines: Mapping[FieldPath, int]

    def place(self, path: FieldPath) -> str:
        """File and line of a field, or of the nearest field around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return f"{self.file}:{self.lines[path[:length]]}"
        return f"{self.file}:{self.line}"


class _RefusedError(Exception):
    """A node that is no value; carries its line and what is wrong."""

    def __init__(self, node: yaml.Node, path: FieldPath, text: str) -> None:
        super().__init__(text)
        self.line = node.start_mark.line + 1
        self.path = path


def read_file(path: Path) -> tuple[list[RawDocument], list[Problem]]:
    """The documents of a file and the problems with its YAML; empty documents are passed over."""
    try:
        text = _text(path)
    except (OSError, ValueError) as e:
        return [], [Problem(str(path), "", (), _reason(e))]
    documents: list[RawDocument] = []
    problems: list[Problem] = []
    try:
        for node in _nodes(text):
            try:
                documents.append(_document(path, node))
            except _RefusedError as e:
                problems.append(Problem(f"{path}:{e.line}", "", e.path, str(e)))
    except RecursionError:
        # The YAML library itself descends by recursion, before anything here can count.
        problems.append(Problem(str(path), "", (), _TOO_DEEP))
    except yaml.MarkedYAMLError as e:
        problems.append(_syntax_problem(path, e))
    except yaml.YAMLError as e:
        problems.append(Problem(str(path), "", (), f"not valid YAML: {_one_line(str(e))}"))
    return [document for document in documents if document.value is not None], problems


def parse_value(text: str) -> Any:
    """One value written as YAML, by the same rules.

    Raises:
        ValueError: not valid YAML, or a value that readers understand differently.
    """
    try:
        nodes = list(_nodes(text))
        return _Builder().build(nodes[0], ()) if nodes else None
    except (_RefusedError, RecursionError) as e:
        raise ValueError(str(e) if isinstance(e, _RefusedError) else _TOO_DEEP) from e
    except yaml.YAMLError as e:
        raise ValueError(f"not valid YAML: {_one_line(str(getattr(e, 'problem', e)))}") from e


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"is larger than {MAX_FILE_BYTES} bytes, too large for a document")
    return path.read_text(encoding="utf-8")


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8 text"
    if isinstance(error, OSError):
        return f"can't be read: {error.strerror}"
    return str(error)


def _nodes(text: str) -> Iterator[yaml.Node]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            yield loader.get_node()
    finally:
        loader.dispose()


def _syntax_problem(path: Path, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = f"{path}:{mark.line + 1}" if mark else str(path)
    problem = _one_line(error.problem or error.context or "unreadable")
    hint = "; indent with spaces, not with tabs" if "that cannot start any token" in problem else ""
    began = error.context_mark
    if error.context and began and mark and began.line != mark.line:
        problem = f"{problem} {error.context}, which begins on line {began.line + 1}"
    return Problem(place, "", (), f"not valid YAML: {problem}{hint}")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _document(path: Path, node: yaml.Node) -> RawDocument:
    builder = _Builder()
    value = builder.build(node, ())
    return RawDocument(path, node.start_mark.line + 1, value, builder.lines)


class _Builder:
    """Makes plain values of nodes, and notes the line of each."""

    def __init__(self) -> None:
        self.lines: dict[FieldPath, int] = {}
        self._values = 0

    def build(self, node: yaml.Node, path: FieldPath) -> Any:
        self._values += 1
        if self._values > _MAX_VALUES:
            raise _RefusedError(node, (), f"has more than {_MAX_VALUES} values (do aliases repeat one another?)")
        if len(path) > _MAX_DEPTH:
            raise _RefusedError(node, (), _TOO_DEEP)
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        return _scalar(_of_type(node, path), path)

    def _mapping(self, node: yaml.MappingNode, path: FieldPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _key(key_node, path)
            if key in values:
                first = self.lines[(*path, key)]
                raise _RefusedError(
                    key_node, (*path, key), f"is written twice, first on line {first}; remove one of them"
                )
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            values[key] = self.build(value_node, (*path, key))
        return values


def _key(node: yaml.Node, path: FieldPath) -> str:
    if node.tag == f"{_TAG}merge":
        raise _RefusedError(node, path, "merge keys (<<) are not read: write the fields out")
    key = _scalar(_of_type(node, path), path)
    if not isinstance(key, str):
        raise _RefusedError(node, path, f"the key {node.value} is not text: quote it")
    return key


def _of_type(node: yaml.Node, path: FieldPath) -> yaml.ScalarNode:
    if not isinstance(node, yaml.ScalarNode):
        raise _RefusedError(node, path, "a key must be a name, not a list or a mapping")
    return node


def _scalar(node: yaml.ScalarNode, path: FieldPath) -> Any:
    text: str = node.value
    if node.style in ("'", '"', "|", ">"):
        return text
    kind = node.tag.removeprefix(_TAG)
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if kind in ("int", "float") and len(text) > _MAX_DIGITS:
        raise _RefusedError(node, path, f"{text[:12]}... is a number of {len(text)} characters, too long for any field")
    if kind == "int" and _DECIMAL_INT.fullmatch(text):
        return int(text)
    if kind == "float" and _DECIMAL_FLOAT.fullmatch(text):
        return float(text)
    if kind not in ("bool", "int", "float", "str", "timestamp"):
        raise _RefusedError(node, path, f"the tag {shown(node.tag)} is not allowed: write plain values")
    if kind in ("bool", "int", "float") or text in _ONE_LETTER or _EXPONENT.fullmatch(text):
        raise _RefusedError(node, path, _trap(kind, text))
    return text


def _trap(kind: str, text: str) -> str:
    if kind == "bool" or text in _ONE_LETTER:
        return (
            f'{text} is a boolean to some YAML readers and text to others: write true or false, or quote it, "{text}"'
        )
    return f'{text} is read as different numbers by YAML readers: write it in plain decimals, or quote it, "{text}"'
