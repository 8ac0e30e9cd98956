"""A request of kopf's own is tried without end: a watch that gave up would end the operator."""

import asyncio
import logging
from itertools import islice
from types import SimpleNamespace
from typing import Any

import kopf
import pytest
from kopf._cogs.clients import api, errors

from pfpnas_operator.kube import settings as our

TRIES = 50
"""Kopf's own settings give up after nine."""


class Session:
    """Answers after so many refusals, and again."""

    closed = False

    def __init__(self) -> None:
        self.asked = 0

    async def request(self, **_: Any) -> Any:
        self.asked += 1
        return SimpleNamespace(refused=self.asked % TRIES != 0)


@pytest.mark.parametrize("refusal", [errors.APIServerError, errors.APIForbiddenError])
def test_a_request_that_is_refused_again_and_again_is_answered_in_the_end(
    monkeypatch: pytest.MonkeyPatch, refusal: type[errors.APIError]
) -> None:
    settings, session, waited = kopf.OperatorSettings(), Session(), list[float]()
    our.apply(settings)
    context: Any = SimpleNamespace(session=session, server="https://kubernetes", add_response=lambda response: None)

    async def check(response: Any) -> None:
        if response.refused:
            raise refusal(status=500, headers={})

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async def ask() -> None:
        for _ in range(2):  # what waits for one request must not be used up for the next
            await api.request("get", "/", settings=settings, context=context, logger=logging.getLogger())

    monkeypatch.setattr(errors, "check_response", check)
    monkeypatch.setattr(api, "asyncio", SimpleNamespace(sleep=sleep))
    asyncio.run(ask())
    assert session.asked == 2 * TRIES
    assert waited[: TRIES - 1] == waited[TRIES - 1 :] == list(islice(our.Patiently(), TRIES - 1))
    assert max(waited) == our.LONGEST_WAIT_SECONDS
