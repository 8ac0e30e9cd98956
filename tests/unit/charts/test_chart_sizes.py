"""Sizes in the charts' values against what the programs in the pods really use."""

import re

import pytest

from pfpnas_agent.config import Limits
from pfpnas_agent.datasets.prepared import MOST_CACHE_BYTES
from pfpnas_agent.models import MOST_MODELS
from pfpnas_api.quantities import SIZE
from support.charts import RENDERINGS, Rendering, of_kind, pods, rendered

WITH_REDIS = [one for one in RENDERINGS if one.chart == "pfpnas" and one.name != "external"]
BY_NAME = {one.name: one for one in RENDERINGS}
ONE_DATA_SET = 2**30
"""What is decoded anew while the cache is full: it is dropped down to its limit afterwards."""


@pytest.mark.parametrize("rendering", WITH_REDIS, ids=lambda one: one.name)
def test_redis_may_fork_when_it_is_full(rendering: Rendering) -> None:
    """While it writes its file anew, each page that changes is there twice."""
    documents = rendered(rendering)
    (config,) = (one["data"]["redis.conf"] for one in of_kind(documents, "ConfigMap") if "redis.conf" in one["data"])
    found = re.search(r"^maxmemory (\d+)mb$", config, re.MULTILINE)
    assert found is not None
    limits = pods(documents)["StatefulSet/pfpnas-redis"]["spec"]["containers"][0]["resources"]["limits"]
    assert 2 * int(found[1]) * 2**20 <= _bytes(limits["memory"])


def test_the_agents_state_has_room_for_all_that_the_agent_keeps() -> None:
    assert _empty_dirs("agent")["state"] >= _kept_by_the_agent()


def test_the_agent_is_not_evicted_for_what_its_volumes_may_hold() -> None:
    (agent,) = pods(rendered(BY_NAME["agent"])).values()
    limits = agent["spec"]["containers"][0]["resources"]["limits"]
    assert _bytes(limits["ephemeral-storage"]) > sum(_empty_dirs("agent").values())


def _kept_by_the_agent() -> int:
    models = (MOST_MODELS + 1) * Limits().max_model_bytes  # the newest is written before the oldest goes
    return MOST_CACHE_BYTES + ONE_DATA_SET + models


def _empty_dirs(name: str) -> dict[str, int]:
    (agent,) = pods(rendered(BY_NAME[name])).values()
    return {one["name"]: _bytes(one["emptyDir"]["sizeLimit"]) for one in agent["spec"]["volumes"] if "emptyDir" in one}


def _bytes(quantity: str) -> int:
    return int(SIZE.parse(quantity))
