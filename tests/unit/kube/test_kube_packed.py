"""Finished trials in little memory are the trials that they were."""

from pfpnas_operator.kube.packed import PackedTrials
from support.reconcile_builders import make_trial


def test_trials_come_out_as_they_went_in() -> None:
    trials = [make_trial(index, "Succeeded") for index in range(4)]
    packed = PackedTrials(trials[:2])
    packed.append(trials[2])
    packed.append(trials[3])
    assert list(packed) == trials
    assert list(packed[1:3]) == trials[1:3]
    packed.clear()
    assert len(packed) == 0
