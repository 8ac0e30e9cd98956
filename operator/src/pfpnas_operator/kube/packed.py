"""Finished trials in little memory: ten thousand of them are some megabytes, and few are ever looked at again."""

import zlib
from collections.abc import Iterable, MutableSequence
from typing import overload

from pfpnas_api.kinds import Trial


class PackedTrials(MutableSequence[Trial]):
    """A list of trials, each kept as compressed JSON and read when it is asked for."""

    def __init__(self, trials: Iterable[Trial] = ()) -> None:
        self._packed = [_pack(trial) for trial in trials]

    def __len__(self) -> int:
        return len(self._packed)

    @overload
    def __getitem__(self, index: int) -> Trial: ...

    @overload
    def __getitem__(self, index: slice) -> "PackedTrials": ...

    def __getitem__(self, index: int | slice) -> "Trial | PackedTrials":
        if isinstance(index, int):
            return _unpack(self._packed[index])
        part = PackedTrials()
        part._packed = self._packed[index]
        return part

    @overload
    def __setitem__(self, index: int, value: Trial) -> None: ...

    @overload
    def __setitem__(self, index: slice, value: Iterable[Trial]) -> None: ...

    def __setitem__(self, index: int | slice, value: Trial | Iterable[Trial]) -> None:
        if isinstance(index, int):
            assert isinstance(value, Trial)
            self._packed[index] = _pack(value)
        else:
            assert not isinstance(value, Trial)
            self._packed[index] = [_pack(trial) for trial in value]

    def __delitem__(self, index: int | slice) -> None:
        del self._packed[index]

    def insert(self, index: int, value: Trial) -> None:
        """Put a trial before another."""
        self._packed.insert(index, _pack(value))


def _pack(trial: Trial) -> bytes:
    # None is left out, as in every document; level 1, since it is the repetition of names that is to go.
    return zlib.compress(trial.model_dump_json(by_alias=True, exclude_none=True).encode(), level=1)


def _unpack(packed: bytes) -> Trial:
    return Trial.model_validate_json(zlib.decompress(packed))
