"""Data sets in object stores and on web servers, brought into a folder of this machine."""

import time
from pathlib import Path, PurePosixPath
from typing import Any, Final

import fsspec
import fsspec.core

from pfpnas_api.artifacts.opening import OBJECT_STORES, provider_options
from pfpnas_workloads.data.errors import DataError
from pfpnas_workloads.runtime import Unreachable, logger

SCHEMES: Final = OBJECT_STORES | dict.fromkeys(("http", "https"), "fsspec[http]")
"""Places that data are brought from, and what speaks to them."""

LOG_SECONDS: Final = 10.0
"""Between two lines that say how far a download is."""


def bring(uri: str, root: Path) -> Path:
    """Copy the file, or all files below the prefix, into `root`; credentials are the provider's own variables.

    Returns:
        The file; or `root` where there were several.

    Raises:
        DataError: Nothing is there, it may not be read, or what speaks to such places isn't installed.
        Unreachable: It can't be read now.
    """
    files, place = _opened(uri)
    try:
        return _copied(files, uri, place, root)
    except FileNotFoundError as e:
        raise DataError(f"dataset.uri {uri}: nothing is there: check bucket, prefix and spelling") from e
    except PermissionError as e:
        raise DataError(f"dataset.uri {uri}: may not be read: give its credentials the right to ({e})") from e
    except DataError:
        raise
    except Exception as e:  # each provider's package has exceptions of its own
        raise Unreachable(f"dataset.uri {uri}: can't be read: {type(e).__name__}: {e}") from e


def _opened(uri: str) -> tuple[Any, str]:
    """The file system that a uri names (of Azure with the account in it), and the place in it."""
    scheme = uri.partition("://")[0]
    try:
        files, place = fsspec.core.url_to_fs(uri, use_listings_cache=False, **provider_options(uri))
    except ImportError as e:
        raise DataError(f"dataset.uri {uri}: needs pip install '{SCHEMES[scheme]}' where training runs ({e})") from e
    except ValueError as e:  # whoever is away, this is none of it: another try would end the same way
        raise DataError(f"dataset.uri {uri}: {e}: check it, and the provider's own variables") from e
    except Exception as e:  # some look for credentials at once
        raise Unreachable(f"dataset.uri {uri}: can't be read: {type(e).__name__}: {e}") from e
    return files, place.rstrip("/")


def _copied(files: Any, uri: str, place: str, root: Path) -> Path:
    # A web server has no folders; and asked for information fsspec takes one that is away for one that has nothing.
    if uri.startswith("http") or files.info(place)["type"] == "file":
        target = root / PurePosixPath(place.partition("?")[0]).name
        files.get_file(place, str(target), callback=_Told(uri, "bytes"))
        return target
    found = sorted(files.find(place))
    targets = [root / PurePosixPath(name).relative_to(place) for name in found]
    if any(".." in target.parts for target in targets):
        raise DataError(f"dataset.uri {uri}: has names with `..` in them: rename these objects")
    for folder in {target.parent for target in targets}:
        folder.mkdir(parents=True, exist_ok=True)
    files.get(found, [str(target) for target in targets], callback=_Told(uri, "files"))
    return root


class _Told(fsspec.Callback):  # type: ignore[misc]  # fsspec has no types
    """Says every so often how far a download is."""

    def __init__(self, uri: str, unit: str) -> None:
        super().__init__()
        self._uri, self._unit, self._said = uri, unit, 0.0

    def call(self, *_: object, **__: object) -> None:
        """Of fsspec: after each change of `size` and `value`."""
        now = time.monotonic()
        if self.value and (now - self._said >= LOG_SECONDS or self.value == self.size):
            self._said = now
            logger.info("%s: %s of %s %s are here", self._uri, self.value, self.size or "unknown", self._unit)
