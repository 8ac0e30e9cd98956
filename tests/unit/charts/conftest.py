"""Time for the tests of the charts: in CI the first of them may have to build Helm or kube-score."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Half an hour for each test of this folder, where a cold cache has to be filled beside other builds."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(1800))
