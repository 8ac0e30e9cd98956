"""Timing: warm-up until it is steady, then alternating blocks of candidate and reference, so that drift hits both."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pfpnas_agent.measuring.statistics import quantile

WINDOW = 8
"""Runs of one window of the warm-up."""

AGREEMENT = 0.02
"""Two windows whose medians differ by less are steady."""

BLOCK = 32
"""Timed runs of a block, at least: shorter turns would leave each model the other's cache."""

DROPPED = 2
"""First runs of a block that don't count: they fetch the model back into the caches."""

Clock = Callable[[], int]
"""Nanoseconds that never go back."""


@dataclass(frozen=True)
class Timed:
    """Runs that count, in milliseconds."""

    candidate: list[float]
    reference: list[float]


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep Python's garbage collector out of the timed runs."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def warm_up(run: Callable[[], object], *, seconds: float, clock: Clock = time.perf_counter_ns) -> int:
    """Run until two windows agree within 2 %, or for so long. Returns the runs made, at least one."""
    limit = clock() + int(seconds * 1e9)
    earlier, window, made = 0.0, [], 0
    while True:
        window.append(_once(run, clock))
        made += 1
        if clock() >= limit:
            return made
        if len(window) == WINDOW:
            later = sorted(window)[WINDOW // 2]
            if abs(later - earlier) <= AGREEMENT * later:
                return made
            earlier, window = later, []


def alternate(
    candidate: Callable[[], object],
    reference: Callable[[], object] | None,
    *,
    runs: int,
    max_seconds: float,
    clock: Clock = time.perf_counter_ns,
) -> Timed:
    """Time both in alternating blocks of at least 32 runs, `runs` of each in all, within `max_seconds`.

    Every block has its share of the time; one that is out of time ends early, with one run that counts at least.
    """
    rounds = max(1, runs // BLOCK)
    length = -(-runs // rounds) + DROPPED
    share = int(max_seconds * 1e9 / rounds / (1 if reference is None else 2))
    timed = Timed([], [])
    for _ in range(rounds):
        timed.candidate.extend(_block(candidate, length, share, clock))
        if reference is not None:
            timed.reference.extend(_block(reference, length, share, clock))
    return timed


def throughput(
    run: Callable[[], object], *, images: int, max_seconds: float, clock: Clock = time.perf_counter_ns
) -> float:
    """Images per second by the median of a block of runs of so many images, or of as many runs as the time allows."""
    timed = alternate(run, None, runs=BLOCK, max_seconds=max_seconds, clock=clock)
    return 1e3 * images / quantile(timed.candidate, 0.5)


def _block(run: Callable[[], object], length: int, share: int, clock: Clock) -> list[float]:
    limit = clock() + share
    taken: list[float] = []
    while len(taken) < length and (len(taken) <= DROPPED or clock() < limit):
        taken.append(_once(run, clock))
    return [nanoseconds / 1e6 for nanoseconds in taken[DROPPED:]]


def _once(run: Callable[[], object], clock: Clock) -> int:
    start = clock()
    run()
    return clock() - start
