"""Warm-up and alternating blocks, with a clock that only the runs move."""

from collections.abc import Callable, Iterator
from itertools import chain, repeat

import pytest

from pfpnas_agent.measuring.statistics import quantile, summarised
from pfpnas_agent.measuring.timing import WINDOW, alternate, throughput, warm_up


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def taking(self, milliseconds: Iterator[float], log: list[str], name: str) -> Callable[[], None]:
        def run() -> None:
            self.now += round(next(milliseconds) * 1e6)
            log.append(name)

        return run


def test_warm_up_ends_when_two_windows_agree() -> None:
    clock = Clock()
    run = clock.taking(chain([9.0] * WINDOW, [5.0] * WINDOW, repeat(1.0)), [], "a")
    assert warm_up(run, seconds=60, clock=clock) == 4 * WINDOW


def test_warm_up_that_never_settles_ends_in_time() -> None:
    clock = Clock()
    run = clock.taking(iter([2.0 ** -(i // WINDOW) * 100 for i in range(1000)]), [], "a")
    warm_up(run, seconds=0.5, clock=clock)
    assert 500 <= clock.now / 1e6 < 700


def test_no_warm_up_still_runs_once() -> None:
    clock = Clock()
    assert warm_up(clock.taking(repeat(1.0), [], "a"), seconds=0, clock=clock) == 1


@pytest.mark.parametrize(("runs", "counted", "blocks"), [(64, 64, 2), (100, 102, 3), (1, 1, 1)])
def test_blocks_alternate_and_drop_their_first_two(runs: int, counted: int, blocks: int) -> None:
    clock, log = Clock(), []
    timed = alternate(
        clock.taking(repeat(1.0), log, "c"),
        clock.taking(repeat(0.5), log, "r"),
        runs=runs,
        max_seconds=60,
        clock=clock,
    )
    assert len(timed.candidate) == len(timed.reference) == counted
    turns = [name for at, name in enumerate(log) if at == 0 or log[at - 1] != name]
    assert turns == ["c", "r"] * blocks


def test_what_a_block_drops_is_its_start() -> None:
    clock = Clock()
    slow_start = chain([50.0, 40.0], repeat(1.0))
    timed = alternate(clock.taking(slow_start, [], "c"), None, runs=32, max_seconds=60, clock=clock)
    assert timed.candidate == [1.0] * 32


def test_time_that_is_up_ends_every_block_with_one_run_at_least() -> None:
    clock, log = Clock(), []
    timed = alternate(
        clock.taking(repeat(1000.0), log, "c"),
        clock.taking(repeat(1.0), log, "r"),
        runs=64,
        max_seconds=2,
        clock=clock,
    )
    assert timed.candidate == [1000.0] * 2
    assert len(timed.reference) == 64


def test_throughput_is_by_the_median_of_a_block_of_runs() -> None:
    clock, log = Clock(), []
    # Two that are dropped, then 20 steady runs and 12 that something else disturbs.
    run = clock.taking(chain([900.0, 900.0], [8.0] * 10, [100.0] * 12, [8.0] * 10, [0.0]), log, "c")
    assert throughput(run, images=32, max_seconds=60, clock=clock) == pytest.approx(4000)
    assert len(log) == 34


def test_throughput_of_a_slow_net_is_by_the_runs_that_the_time_allows() -> None:
    clock, log = Clock(), []
    run = clock.taking(repeat(1000.0), log, "c")
    assert throughput(run, images=32, max_seconds=10, clock=clock) == pytest.approx(32)
    assert len(log) == 10


def test_four_numbers_say_what_the_runs_were() -> None:
    found = summarised([1.0, 2.0, 3.0, 4.0, 100.0], [2.0, 6.0])
    assert found == {"p50": 3.0, "p90": pytest.approx(61.6), "mad": 1.0, "runs": 5, "reference": 4.0}


def test_without_a_reference_there_is_none() -> None:
    assert summarised([1.0], [])["reference"] is None


def test_quantiles_interpolate() -> None:
    assert quantile([10.0, 0.0], 0.25) == 2.5
