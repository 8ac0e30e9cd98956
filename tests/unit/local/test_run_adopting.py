"""Trials written by hand."""

from typing import Any

import pytest

from pfpnas_api.kinds import Trial
from pfpnas_operator.documents import DocumentError
from pfpnas_operator.local.adopting import adopted, by_hand
from support.reconcile_builders import NOW, architecture, make_experiment, make_trial


def _mine(name: str = "mine", number: int = 1, experiment: str = "digits", **spec: Any) -> Trial:
    fields = {"experimentRef": {"name": experiment}, "architecture": architecture(number), **spec}
    return Trial.model_validate({"metadata": {"name": name}, "spec": fields})


def test_only_this_experiments_are_taken() -> None:
    trials = [_mine(), _mine("other", experiment="letters", index=3, origin="Tuner")]
    assert [trial.metadata.name for trial in by_hand(trials, make_experiment())] == ["mine"]


def test_one_of_the_tuners_own_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"Trial/digits-00000: spec\.index"):
        by_hand([_mine(), make_trial(0)], make_experiment())


def test_name_of_the_tuners_kind_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"Trial/digits-00001: metadata\.name"):
        by_hand([_mine("digits-00001")], make_experiment())


def test_new_one_begins_and_known_one_is_left_as_it_is() -> None:
    (new,) = adopted([_mine("new", 2), _mine()], [_mine()], now=NOW)
    assert (new.metadata.name, new.status.created_at, new.finished) == ("new", NOW, False)


def test_changed_one_is_refused() -> None:
    with pytest.raises(DocumentError, match=r"Trial/mine: spec\.architecture"):
        adopted([_mine(number=2)], [_mine(number=1)], now=NOW)
