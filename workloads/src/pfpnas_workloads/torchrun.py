"""torchrun, with the exit code of what it runs: `python -m pfpnas_workloads.torchrun TORCHRUN'S ARGUMENTS`.

torchrun itself ends with 1 whatever its processes end with. Kubernetes and the operator must tell bad input (42) and
an interruption (75) from the rest. And while it waits for the other nodes it takes no signal, for hours if need be.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from pfpnas_api.jobs import EXIT_BAD_INPUT, EXIT_DONE, EXIT_RETRY
from pfpnas_workloads.stopping import end_when_told

EXIT_FAILED: Final = 1

SHUTDOWN_SECONDS: Final = 55
"""Within which processes that were told to stop have to end: a step of the training and its checkpoint, inside of a
pod's termination grace period of 60 s."""

KILLED_SECONDS: Final = 58
"""When what is left then is killed, torchrun included."""


def main(arguments: Sequence[str]) -> int:
    """Run torchrun; its processes' exit code.

    Returns:
        0 if all did well; else 42 if one said so, 75 if all that failed said so, the other nodes did not come or
        torchrun was told to stop, and 1.
    """
    end_when_told(EXIT_RETRY, within_seconds=KILLED_SECONDS)
    # Imported only now: they take seconds, in which nothing would be heard.
    from torch.distributed import DistError, DistNetworkError  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing import SignalException  # noqa: PLC0415
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError  # noqa: PLC0415
    from torch.distributed.run import get_args_parser, run  # noqa: PLC0415

    from pfpnas_workloads.runtime import complain  # noqa: PLC0415

    asked = get_args_parser().parse_args([f"--shutdown-timeout={SHUTDOWN_SECONDS}", *arguments])
    place = f"{asked.master_addr}:{asked.master_port}"
    if asked.nnodes != "1":
        complain(f"node {asked.node_rank} waits for all {asked.nnodes} nodes at {place}")
    try:
        run(asked)  # type: ignore[no-untyped-call]  # torch has no annotation there
    except ChildFailedError as e:
        return worst(failure.exitcode for failure in e.failures.values())
    except SignalException:
        return EXIT_RETRY
    except DistError as e:
        complain(f"did not meet all {asked.nnodes} nodes at {place}: {str(e).splitlines()[0]}")
        # The first node's network is its own address; everything else is about the others.
        return EXIT_FAILED if asked.node_rank == 0 and isinstance(e, DistNetworkError) else EXIT_RETRY
    return EXIT_DONE


def worst(codes: Iterable[int]) -> int:
    """The exit code that says most about several."""
    found = set(codes)
    if EXIT_BAD_INPUT in found:
        return EXIT_BAD_INPUT
    return EXIT_RETRY if found <= {EXIT_RETRY} else EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
