"""Where data lie: folders and files, artifacts, object stores and web servers."""

import shutil
import tarfile
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlparse

from pfpnas_api.artifacts import ArtifactError, ArtifactStore
from pfpnas_api.artifacts.opening import OBJECT_STORES
from pfpnas_workloads.data.errors import DataError

REMOTE = frozenset({*OBJECT_STORES, "http", "https"})


def find(uri: str, store: ArtifactStore, *, packed: bool) -> tuple[Path, Path | None]:
    """The path of `uri`, and the temporary folder it is in if it came from elsewhere: the caller removes it.

    Args:
        uri: An absolute path, ``file://…``, ``sha256:…``, ``s3://…``, ``gs://…``, ``abfs(s)://…`` or ``http(s)://…``.
        store: Where artifacts are.
        packed: Whether the format is a folder: then an artifact or a single remote file is a tar of it.

    Raises:
        DataError: Nothing is there, or it can't be unpacked.
        Unreachable: It can't be read now.
    """
    parsed = urlparse(uri)
    if parsed.scheme == "sha256" or parsed.scheme in REMOTE:
        return _temporary(uri, store, packed=packed)
    if parsed.scheme not in ("", "file"):
        known = "a path, file://…, sha256:… of an artifact, " + ", ".join(f"{scheme}://…" for scheme in sorted(REMOTE))
        raise DataError(f"dataset.uri {uri!r}: places known are {known}")
    path = Path(unquote(parsed.path) if parsed.scheme else uri)
    if not path.exists():
        raise DataError(f"dataset.uri: {path} does not exist where the training runs; put the data there")
    return path, None


def _temporary(uri: str, store: ArtifactStore, *, packed: bool) -> tuple[Path, Path]:
    root = Path(tempfile.mkdtemp(prefix="pfpnas-data-"))
    try:
        brought = _fetch(uri, store, root) if uri.startswith("sha256:") else _bring(uri, root)
        if packed and brought.is_file():
            _unpack(uri, brought, root)
            return root, root
        if not packed and not brought.is_file():
            raise DataError(f"dataset.uri {uri}: is a folder, and this format is a single file: name the file")
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    return brought, root


def _fetch(uri: str, store: ArtifactStore, root: Path) -> Path:
    try:
        content = store.get(uri.removeprefix("sha256:"))
    except ArtifactError as e:
        raise DataError(f"dataset.uri {uri}: {e}") from e
    path = root / "artifact"
    path.write_bytes(content)
    return path


def _bring(uri: str, root: Path) -> Path:
    from pfpnas_workloads.data.remote import bring  # noqa: PLC0415 - fsspec, for who needs it

    return bring(uri, root)


def _unpack(uri: str, archive: Path, root: Path) -> None:
    try:
        with tarfile.open(archive) as content:
            content.extractall(root, filter="data")  # refuses links and paths that lead out of the folder
    except (tarfile.TarError, OSError, EOFError) as e:
        raise DataError(f"dataset.uri {uri}: must be a tar of the data set's folder ({e})") from e
    archive.unlink(missing_ok=True)
