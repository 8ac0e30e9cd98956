"""Where data lie: folders, files and artifacts."""

import io
import tarfile
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlparse

from pfpnas_api.artifacts import ArtifactError, ArtifactStore
from pfpnas_workloads.data.errors import DataError

Folder = tempfile.TemporaryDirectory[str]


def find(uri: str, store: ArtifactStore, *, packed: bool) -> tuple[Path, Folder | None]:
    """The path of `uri`, and the temporary folder it is in, if it came out of an artifact.

    Args:
        uri: An absolute path, ``file://…`` or ``sha256:…``.
        store: Where artifacts are.
        packed: Whether an artifact is a tar of a folder (else it is the file itself).

    Raises:
        DataError: Nothing is there, or the artifact can't be unpacked.
    """
    if uri.startswith("sha256:"):
        return _unpack(uri, _fetch(uri, store), packed=packed)
    parsed = urlparse(uri)
    if parsed.scheme not in ("", "file"):
        raise DataError(f"dataset.uri {uri!r}: places known are a path, file://… and sha256:… of an artifact")
    path = Path(unquote(parsed.path) if parsed.scheme else uri)
    if not path.exists():
        raise DataError(f"dataset.uri: {path} does not exist; nothing is downloaded, so put the data there")
    return path, None


def _fetch(uri: str, store: ArtifactStore) -> bytes:
    try:
        return store.get(uri.removeprefix("sha256:"))
    except ArtifactError as e:
        raise DataError(f"dataset.uri {uri}: {e}") from e


def _unpack(uri: str, content: bytes, *, packed: bool) -> tuple[Path, Folder]:
    folder = tempfile.TemporaryDirectory(prefix="pfpnas-data-")
    root = Path(folder.name)
    if not packed:
        path = root / "data.npz"
        path.write_bytes(content)
        return path, folder
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(root, filter="data")  # refuses links and paths that lead out of the folder
    except (tarfile.TarError, OSError) as e:
        raise DataError(f"dataset.uri {uri}: the artifact must be a tar of the data set's folder ({e})") from e
    return root, folder
