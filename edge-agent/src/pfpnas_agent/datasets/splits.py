"""Which image belongs to which split: decided by its own pixels, so that a copy of it never lands in another one."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

TRAIN, VALIDATION, TEST = 0, 1, 2
NAMES = ("Train", "Validation", "Test")


def digest_mod_100(pixels: np.ndarray[Any, Any]) -> int:
    """SHA-256 of the decoded pixels' bytes (uint8, row by row), as a number, mod 100."""
    return int.from_bytes(hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).digest(), "big") % 100


def split_of(pixels: np.ndarray[Any, Any], *, official: frozenset[int] = frozenset()) -> int:
    """60 train, 20 validation, 20 test; a split that has files of its own leaves its share to the others.

    The rest keeps its proportions: with an official test split it is 75 : 25, with an official validation split 75 : 25
    of train and test, with both everything is for training.
    """
    shares = [0 if split in official else share for split, share in enumerate((60, 20, 20))]
    place = digest_mod_100(pixels) * sum(shares)
    if place < 100 * shares[TRAIN]:
        return TRAIN
    return VALIDATION if place < 100 * (shares[TRAIN] + shares[VALIDATION]) else TEST
