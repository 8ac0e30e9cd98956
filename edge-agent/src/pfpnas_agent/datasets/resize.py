"""Images as a candidate wants them: resized bilinearly, grey replicated, float32 RGB in [0, 1]."""

from __future__ import annotations

from typing import Any

import numpy as np

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """One image, `(h, w)` or `(h, w, 3)`, at another size; Pillow's bilinear filter, rounded to 8 bits."""
    if pixels.shape[:2] == (height, width):
        return pixels
    from PIL import Image  # noqa: PLC0415 - a measurement on cached images never needs Pillow

    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), Image.Resampling.BILINEAR))


def as_inputs(images: Pixels) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A batch `(n, h, w)` or `(n, h, w, 3)`, uint8, as `(n, 3, h, w)`, float32 in [0, 1]."""
    scaled = images.astype(np.float32) / np.float32(255)
    if scaled.ndim == 3:
        return np.repeat(scaled[:, None], 3, axis=1)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
