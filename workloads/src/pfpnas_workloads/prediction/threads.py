"""One thread for what is small: refits must not disturb measurements on the same machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it numpy's products and decompositions use one thread; small ones are many times faster so, too."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    """Cached: it looks through all loaded libraries. numpy's is loaded by then."""
    return ThreadpoolController()
