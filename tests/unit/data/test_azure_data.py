"""Azure's storage: whose account it is stands in the address, and who comes is the pod's own identity."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pfpnas_api.artifacts import open_store
from pfpnas_api.artifacts.opening import OBJECT_STORES, provider_options
from pfpnas_workloads.data import DataError
from pfpnas_workloads.data.places import REMOTE
from pfpnas_workloads.data.remote import bring
from support.pretended_azure import PretendedAzure, pretended_azure

CHART = Path(__file__).parents[3] / "charts" / "pfpnas" / "values.schema.json"
PLACE = "abfs://data@lab.dfs.core.windows.net/digits"


@pytest.fixture
def azure() -> Iterator[PretendedAzure]:
    with pretended_azure() as files:
        files.pipe_file("/data/digits/a.npz", b"data")
        yield files
        files.rm("/data", recursive=True)


@pytest.mark.parametrize("scheme", ["abfs", "abfss"])
def test_data_come_from_the_account_in_the_address(azure: PretendedAzure, scheme: str, tmp_path: Path) -> None:
    found = bring(f"{scheme}{PLACE.removeprefix('abfs')}/a.npz", tmp_path)
    assert found.read_bytes() == b"data"
    assert azure.opened[-1] == {"account": "lab", "anon": False}


def test_a_folder_comes_whole(azure: PretendedAzure, tmp_path: Path) -> None:
    azure.pipe_file("/data/digits/test/b.npz", b"more")
    assert bring(PLACE, tmp_path) == tmp_path
    assert (tmp_path / "test" / "b.npz").read_bytes() == b"more"


def test_an_address_without_an_account_is_the_users_mistake(azure: PretendedAzure, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"abfs://data/a\.npz: Must provide .*account_name.*check it"):
        bring("abfs://data/a.npz", tmp_path)


def test_artifacts_go_to_the_account_in_the_address(azure: PretendedAzure) -> None:
    store = open_store(f"{PLACE}/artifacts")
    kept = store.put(b"a model")
    assert open_store(f"{PLACE}/artifacts").get(kept.sha256) == b"a model"
    assert azure.opened[-1] == {"account": "lab", "anon": False}


def test_who_wants_to_come_as_nobody_says_so() -> None:
    assert provider_options(PLACE, environ={}) == {"anon": False}
    assert provider_options(PLACE, environ={"AZURE_STORAGE_ANON": "true"}) == {}
    assert provider_options("s3://bucket/x", environ={}) == {}


def test_the_chart_takes_the_addresses_that_can_be_opened_and_no_others() -> None:
    properties = json.loads(CHART.read_text())["properties"]
    pattern = properties["artifacts"]["properties"]["external"]["properties"]["url"]["pattern"]
    known = {*OBJECT_STORES, "http", "https"}
    for scheme in (*known, "az", "adl", "wasbs", "gcs", "s3a", "ftp", "file"):
        assert (re.search(pattern, f"{scheme}://bucket/prefix") is not None) == (scheme in known), scheme
    assert known == REMOTE
