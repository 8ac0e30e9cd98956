"""What the benchmark says of searches on the device with the known answer."""

from support.known_answer import KnownAnswer, Needed, best_so_far, measurements_needed, randoms_best, search

KNOWN = KnownAnswer()


def test_random_search_itself_needs_what_its_best_is_found_at() -> None:
    best = randoms_best(KNOWN, seed=7, budget=60)
    needed = measurements_needed(KNOWN, "RandomSearch", seed=7, target=best.score, budget=60)
    course = best_so_far(KNOWN, list(search(KNOWN, "RandomSearch", seed=7, budget=60)))
    assert needed == best.found_at
    assert best.score == course[-1]


def test_a_search_that_was_given_up_counts_as_no_number() -> None:
    needed = Needed("TPE", 0, (10, None, 30, None, 20))
    assert (needed.within(20), needed.median) == (2, 30)


def test_where_most_were_given_up_there_is_no_median() -> None:
    assert Needed("TPE", 0, (10, None, None, None, 20)).median is None


def test_other_noise_gives_other_measurements_of_the_same_device() -> None:
    smallest = KNOWN.space.minimum()
    again = KnownAnswer(seed=1)
    assert KNOWN.measured(smallest) == KnownAnswer().measured(smallest)
    assert KNOWN.measured(smallest) != again.measured(smallest)
