"""MNIST's IDX format: two zero bytes, a type, the number of dimensions, their sizes (big endian), the values.

Source: the description beside Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pfpnas_agent.datasets.errors import DataError

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, *, dimensions: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The array of a file, plain or gzipped.

    Raises:
        DataError: missing, truncated, another type or number of dimensions.
    """
    content = _content(path)
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(f"{path} is no IDX file: its first bytes are not those of the format")
    if content[2] != UNSIGNED_BYTE or content[3] != dimensions:
        raise DataError(
            f"{path} holds {content[3]} dimensions of type 0x{content[2]:02x}; "
            f"expected are {dimensions} of unsigned bytes (0x08): are images and labels swapped?"
        )
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(f"{path} is truncated inside its header: copy it again")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) != header + math.prod(shape):
        raise DataError(
            f"{path} has {len(content)} bytes where its header promises {header + math.prod(shape)}: copy it again"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except FileNotFoundError as e:
        raise DataError(f"{path} is missing: correct the path, or put the file there") from e
    except (OSError, EOFError, zlib.error) as e:
        raise DataError(f"{path} can't be read ({getattr(e, 'strerror', None) or e})") from e
