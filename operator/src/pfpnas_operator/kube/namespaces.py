"""Which namespaces are served, and what there is in them."""

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from pfpnas_operator.kube.api import EXPERIMENTS, JOBS, SUPERNETS, TRIALS, Api, ApiError, Object, Place

logger = logging.getLogger(__name__)

ENV_LEFT_OUT: Final = "PFPNAS_LEFT_OUT"
"""Namespaces, with commas between, that the command line named before `leave_out` took them from it."""

_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_OPTIONS: Final = ("-n", "--namespace")


def named_namespaces(arguments: Sequence[str]) -> frozenset[str] | None:
    """The namespaces that kopf is told to serve, as far as they are named; None when it serves all of them."""
    told = []
    for before, argument in pairwise(["", *arguments]):
        option, _, value = argument.partition("=")
        if option == "--namespace" and value:
            told.append(value)
        elif before in _OPTIONS:
            told.append(argument)
    # Patterns of names are left out: what they match is served once something in it is kept.
    return frozenset(filter(_NAMESPACE.fullmatch, told)) if told else None


def left_out(environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """The namespaces that are to be served, and aren't: nobody could look there at the start."""
    return frozenset(filter(None, environment.get(ENV_LEFT_OUT, "").split(",")))


def may_look(api: Api, namespace: str) -> bool:
    """Whether everything that is watched may be listed there.

    Raises:
        ApiError: no answer, or another one than yes or no.
    """
    try:
        for place in (JOBS, SUPERNETS, EXPERIMENTS, TRIALS):
            next(iter(api.list(place, namespace, fields="metadata.name=none")), None)
    except ApiError as e:
        if e.status == 403:
            return False
        raise
    return True


def start_anew(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """This process, begun again by another command line; the call does not return."""
    os.execve(sys.executable, [sys.executable, *arguments[1:]], dict(environment))


def leave_out(
    api: Api,
    *,
    arguments: Sequence[str] = tuple(sys.orig_argv),
    environment: Mapping[str, str] = os.environ,
    start: Callable[[Sequence[str], Mapping[str, str]], None] = start_anew,
) -> None:
    """See that just those of the named namespaces are served that can be looked into; else begin this process again.

    One that was deleted took the operator's Role with it. kopf calls no handler before it has listed the Jobs of every
    namespace that its command line names, so one that can't be listed would keep the operator from all others; and it
    finds out by itself what is there only with the right to list the cluster's namespaces, which an operator of named
    ones does not have. Nothing is lost by beginning again: everything that must survive is in the custom resources.

    Raises:
        ApiError: the API server can't say.
    """
    named, out = named_namespaces(arguments), left_out(environment)
    if named is None:
        return
    seen = {namespace for namespace in named | out if may_look(api, namespace)}
    if not seen or seen == named:
        return  # with none at all, kopf waits as well as anybody could
    missing = (named | out) - seen
    if missing:
        logger.warning("can't look into %s: served without, until that can be done", ", ".join(sorted(missing)))
    start(_naming(seen, arguments), {**environment, ENV_LEFT_OUT: ",".join(sorted(missing))})


def _naming(namespaces: Set[str], arguments: Sequence[str]) -> list[str]:
    """A command line with these namespaces in place of those that it names; its patterns stay."""
    kept, options = [], iter(arguments)
    for argument in options:
        option, _, value = argument.partition("=")
        if argument in _OPTIONS:
            option, value = "--namespace", next(options, "")
        if option != "--namespace":
            kept.append(argument)
        elif not _NAMESPACE.fullmatch(value):
            kept.append(f"--namespace={value}")
    return [*kept, *(f"--namespace={namespace}" for namespace in sorted(namespaces))]


@dataclass(frozen=True)
class Listed:
    """What there is, as the API server says now.

    Attributes:
        found: Each object, with its kind's place.
        namespaces: In which it was looked for; None: in all.
        unseen: In which it should have been, and nobody may look.
        whole: Whether it was looked for wherever something may be that is ours.
    """

    found: list[tuple[Place, Object]]
    namespaces: frozenset[str] | None = None
    unseen: frozenset[str] = frozenset()
    whole: bool = True


def listed(api: Api, *places: Place, named: Set[str] | None, kept: Set[str], labels: str | None = None) -> Listed:
    """Everything of some kinds (with a label); a namespace that can't be looked into is left out.

    Args:
        api: Where it is listed.
        places: Of the kinds.
        named: The namespaces that are to be served, as far as they are named; None: all.
        kept: Namespaces in which something is kept: served, too.
        labels: A selector.

    Raises:
        ApiError: no answer, or another one than yes or no.
    """

    def look(namespace: str | None) -> list[tuple[Place, Object]]:
        return [(place, body) for place in places for body in api.list(place, namespace, labels=labels)]

    if named is None:
        try:
            return Listed(look(None))
        except ApiError as e:
            if e.status != 403:
                raise
            # It passes, and the next look is everywhere again. Until then, where something is kept.
    wanted, found, seen = kept | (named or frozenset()), [], set()
    for namespace in sorted(wanted):
        try:
            found += look(namespace)
            seen.add(namespace)
        except ApiError as e:
            if e.status != 403:
                raise
    return Listed(found, frozenset(seen), frozenset(wanted - seen), whole=named is not None and seen == wanted)
