"""Several requests at once: a dozen trials must not take a dozen round trips one after the other."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def together(pool: Executor, call: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results in the order of the items; what failed is left out, and raised (the first of it) at the end."""
    waiting = list(items)
    if len(waiting) == 1:
        yield call(waiting[0])
        return
    first: Exception | None = None
    for future in [pool.submit(call, item) for item in waiting]:
        try:
            result = future.result()
        except Exception as e:  # every one of them is waited for; the first is raised below
            first = first or e
        else:
            yield result
    if first is not None:
        raise first
