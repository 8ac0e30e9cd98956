"""What is wrong with a document, and where: one line for each problem."""

from collections.abc import Iterable
from dataclasses import dataclass

FieldPath = tuple[str | int, ...]
"""Keys and list indices from a document's root, with the names a user writes."""


class DocumentError(Exception):
    """Documents that can't be used. The message has one line for every problem found."""


@dataclass(frozen=True)
class Problem:
    """One problem: the place as far as it is known, and what is wrong in words.

    Attributes:
        place: File, or file and line, or the override that brought the value.
        subject: Kind and name of the document, such as `Supernet/cifar`; empty when it is not known.
        path: The field; empty when the document as a whole is meant.
        text: What was found and what is allowed.
    """

    place: str
    subject: str
    path: FieldPath
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.subject, dotted(self.path), self.text) if part)


def dotted(path: FieldPath) -> str:
    """A field path as text: `spec.objective.constraints[0].max`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def raise_problems(problems: Iterable[Problem]) -> None:
    """Raise one DocumentError with all problems, each on its line; nothing when there is none."""
    lines = list(dict.fromkeys(str(problem) for problem in problems))
    if lines:
        raise DocumentError("\n".join(lines))


def shown(value: object) -> str:
    """A value as it may stand in a message: short, on one line, texts in quotes."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}...'"
