"""torchrun, with the exit code of what it runs: `python -m pfpnas_workloads.torchrun TORCHRUN'S ARGUMENTS`.

torchrun itself ends with 1 whatever its processes end with. Kubernetes and the operator must tell bad input (42) and
an interruption (75) from the rest.
"""

import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Final, NoReturn

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import get_args_parser, run

from pfpnas_api.jobs import EXIT_BAD_INPUT, EXIT_DONE, EXIT_RETRY

EXIT_FAILED: Final = 1

SHUTDOWN_SECONDS: Final = 55
"""Within which processes that were told to stop have to end: a step of the training and its checkpoint, inside of a
pod's termination grace period of 60 s."""


def main(arguments: Sequence[str]) -> int:
    """Run torchrun; its processes' exit code.

    Returns:
        0 if all did well; else 42 if one said so, 75 if all that failed said so or torchrun was told to stop, and 1.
    """
    # Before its processes run torchrun takes no signal, and the first process of a container ignores what it doesn't.
    signal.signal(signal.SIGTERM, _stop)
    asked = get_args_parser().parse_args([f"--shutdown-timeout={SHUTDOWN_SECONDS}", *arguments])
    try:
        run(asked)  # type: ignore[no-untyped-call]  # torch has no annotation there
    except ChildFailedError as e:
        return worst(failure.exitcode for failure in e.failures.values())
    except SignalException:
        return EXIT_RETRY
    return EXIT_DONE


def worst(codes: Iterable[int]) -> int:
    """The exit code that says most about several."""
    found = set(codes)
    if EXIT_BAD_INPUT in found:
        return EXIT_BAD_INPUT
    return EXIT_RETRY if found <= {EXIT_RETRY} else EXIT_FAILED


def _stop(number: int, frame: object) -> NoReturn:
    raise SystemExit(EXIT_RETRY)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
