"""What the benchmark says of searches on the device with the known answer."""

import numpy as np
import pytest

from support.known_answer import Courses, KnownAnswer, Needed, best_so_far, courses, randoms_best, search

KNOWN = KnownAnswer()


def test_random_search_itself_needs_what_its_best_is_found_at() -> None:
    seeds = (7, 8)
    bests = [randoms_best(KNOWN, seed=seed, budget=60) for seed in seeds]
    (found,) = courses(KNOWN, seeds, pseudo_trials=(0,), algorithms=("RandomSearch",), budget=60)
    assert found.needed([best.score for best in bests]).measurements == tuple(best.found_at for best in bests)
    course = best_so_far(KNOWN, list(search(KNOWN, "RandomSearch", seed=7, budget=60)))
    assert bests[0].score == course[-1]


def test_a_target_that_is_not_reached_needs_no_number() -> None:
    found = Courses("TPE", 0, np.array([[0.1, 0.5, 0.5], [0.1, 0.2, 0.3]]))
    assert found.needed([0.5, 0.4]).measurements == (2, None)


def test_regret_is_what_the_best_lacks_and_all_of_it_while_nothing_keeps_the_limit() -> None:
    found = Courses("TPE", 0, np.array([[-np.inf, 0.5], [0.75, 0.875]]))
    assert found.regret(1.0, after=1) == pytest.approx([1.0, 0.25])
    assert found.regret(1.0, after=2) == pytest.approx([0.5, 0.125])


def test_a_search_that_was_given_up_counts_as_no_number() -> None:
    needed = Needed((10, None, 30, None, 20))
    assert (needed.within(20), needed.median) == (2, 30)


def test_where_most_were_given_up_there_is_no_median() -> None:
    assert Needed((10, None, None, None, 20)).median is None


def test_other_noise_gives_other_measurements_of_the_same_device() -> None:
    smallest = KNOWN.space.minimum()
    again = KnownAnswer(seed=1)
    assert KNOWN.measured(smallest) == KnownAnswer().measured(smallest)
    assert KNOWN.measured(smallest) != again.measured(smallest)
