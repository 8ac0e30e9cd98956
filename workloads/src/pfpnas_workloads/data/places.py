"""Where data lie: folders, files and artifacts."""

import io
import shutil
import tarfile
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlparse

from pfpnas_api.artifacts import ArtifactError, ArtifactStore
from pfpnas_workloads.data.errors import DataError


def find(uri: str, store: ArtifactStore, *, packed: bool) -> tuple[Path, Path | None]:
    """The path of `uri`, and the temporary folder it is in if it came out of an artifact: the caller removes it.

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


def _unpack(uri: str, content: bytes, *, packed: bool) -> tuple[Path, Path]:
    root = Path(tempfile.mkdtemp(prefix="pfpnas-data-"))
    if not packed:
        path = root / "data.npz"
        path.write_bytes(content)
        return path, root
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(root, filter="data")  # refuses links and paths that lead out of the folder
    except (tarfile.TarError, OSError) as e:
        shutil.rmtree(root, ignore_errors=True)
        raise DataError(f"dataset.uri {uri}: the artifact must be a tar of the data set's folder ({e})") from e
    return root, root
