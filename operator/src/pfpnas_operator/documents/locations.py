"""Where a data set lies: paths made absolute against the folder of the document that names them."""

import os
import re
from pathlib import Path

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")


def absolute_uri(uri: str, folder: Path) -> str:
    """`uri` with a relative path made absolute against `folder`; addresses with a scheme stay as they are."""
    if _SCHEME.match(uri):
        return uri
    return os.path.abspath(folder / os.path.expanduser(uri))


def uri_problem(uri: str) -> str | None:
    """What is wrong with an absolute uri, in words; None if nothing is."""
    if not uri.isprintable():
        return f"is {uri!r}: control characters are not allowed in it"
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return None
    if scheme[1] == "file":
        wrong = not uri.startswith("file:///")
        return f"is {uri!r}: a file address has three slashes, such as file:///data/cifar10" if wrong else None
    if scheme[1] == "sha256":
        wrong = re.fullmatch(r"sha256:[0-9a-f]{64}", uri) is None
        return f"is {uri!r}: sha256: is followed by 64 hexadecimal digits in lower case" if wrong else None
    return f"is {uri!r}: allowed are a path, file:///... and sha256:... of an artifact"
