"""A status with everything at its bound still fits: 64 KiB, as the road's messages, far below what etcd takes."""

import json
from typing import Any

from pfpnas_api.kinds import (
    Condition,
    Evaluation,
    Finalist,
    NASExperiment,
    NASExperimentStatus,
    PredictorStatus,
    RankedTrial,
    Remeasurement,
    TrialCounts,
)
from pfpnas_api.kinds.common import MAX_PARENT_NAME
from pfpnas_api.spaces import SearchSpace
from pfpnas_operator.reconcile.conditions import MESSAGE_LIMIT, Stamp
from pfpnas_operator.reconcile.fitting import FEW_EVALUATIONS, LARGEST, fitted
from support.reconcile_builders import NOW, artifact, make_experiment

LONGEST = (
    SearchSpace(
        backbone="ProxylessNAS",
        width_multiplier=1.0,
        kernel_sizes=(3, 5, 7),
        expand_ratios=(3, 4, 6),
        depths=(1, 2, 3, 4, 5, 6, 7, 8),
        resolutions=(128, 224),
        classes=10,
    )
    .maximum()
    .id
)
NAME = "n" * MAX_PARENT_NAME + "-00000"
LONG_FLOAT, MOST = 1234567.123456789, 2**53 - 1
LATENCY: dict[str, Any] = {"p50": LONG_FLOAT, "p90": LONG_FLOAT, "mad": LONG_FLOAT, "runs": 30_000}
ACCURACY = {"value": 0.1234567890123456, "samples": 2**31 - 1}


def ranked(number: int) -> RankedTrial:
    metrics = {
        "accuracy": 0.1234567890123456,
        "accuracySamples": MOST,
        "latencyMilliseconds": {**LATENCY, "reference": LONG_FLOAT},
        "throughput": LONG_FLOAT,
        "flops": MOST,
        "macs": MOST,
        "parameters": MOST,
        "modelBytes": MOST,
        "peakMemoryBytes": MOST,
        "energyMillijoules": LONG_FLOAT,
        "cost": LONG_FLOAT,
    }
    content = {"trial": NAME, "architecture": LONGEST, "score": LONG_FLOAT, "feasible": True, "violation": LONG_FLOAT}
    return RankedTrial.model_validate({**content, "metrics": metrics, "artifact": artifact(str(number), size=MOST)})


def regression() -> dict[str, Any]:
    names = ("kendallTau", "topQuartileKendallTau", "macsKendallTau", "coverage")
    errors = ("kendallTauDeviation", "error", "topQuartileError", "constantError", "macsError")
    return {
        "encoding": "e" * 63,
        "regressor": "r" * 63,
        "labels": MOST,
        **dict.fromkeys(names, 0.1234567890123456),
        **dict.fromkeys(errors, LONG_FLOAT),
    }


def conditions(letter: str) -> tuple[Condition, ...]:
    kinds = ("Accepted", "SupernetReady", "AgentsAvailable", "Searching", "Suspended", "Succeeded", "Failed")
    found: tuple[Condition, ...] = ()
    for kind in kinds:
        found = Stamp(now=NOW, generation=MOST).put(found, kind, "False", "R" * 64, letter * 5000)
    return found


def fullest(letter: str = "x") -> NASExperiment:
    """An experiment whose status holds as much of everything as its schema allows, over the largest search space."""
    again = tuple(
        Remeasurement.model_validate(
            {"repetition": 100 + n, "latencyMilliseconds": {**LATENCY, "reference": LONG_FLOAT}, "accuracy": ACCURACY}
        )
        for n in range(3)
    )
    evaluation = {"architecture": LONGEST, "artifact": artifact("e", size=MOST), "accuracy": ACCURACY}
    figures = {"latencyMape": LONG_FLOAT, "accuracyMae": LONG_FLOAT, "kendallTau": 0.1234567890123456}
    predictor = {"labels": MOST, "latency": regression(), "accuracy": regression(), **figures}
    status = NASExperimentStatus(
        observed_generation=MOST,
        conditions=conditions(letter),
        reference=artifact("reference", size=MOST),
        reference_architecture=LONGEST,
        trials=TrialCounts(created=MOST, pending=MOST, running=MOST, succeeded=MOST, failed=MOST, infeasible=MOST),
        best=ranked(0),
        front=tuple(ranked(number) for number in range(20)),
        hypervolume=0.1234567890123456,
        predictor=PredictorStatus.model_validate(predictor),
        finalists=tuple(
            Finalist(trial=NAME, remeasurements=again, attempts=3, reason="r" * 64, ranked=ranked(number))
            for number in range(10)
        ),
        evaluations=tuple(
            Evaluation.model_validate({**evaluation, "name": "finalist", "latencyMs": LONG_FLOAT, "reason": "r" * 64})
            for _ in range(32)
        ),
        attempts={f"{'k' * 61}{number:02d}": MOST for number in range(16)},
        interruptions={f"{'k' * 61}{number:02d}": MOST for number in range(16)},
        supernet_uid="u" * 64,
        started_at=NOW,
        suspended_at=NOW,
        search_finished_at=NOW,
        finished_at=NOW,
    )
    return make_experiment().model_copy(update={"status": status})


def size(status: NASExperimentStatus) -> int:
    return len(json.dumps(status.document(), ensure_ascii=False).encode())


def test_a_message_is_cut_to_bytes_and_stays_readable() -> None:
    for letter in ("x", "ü", "測"):
        for condition in conditions(letter):
            assert len(condition.message.encode()) <= MESSAGE_LIMIT
            assert set(condition.message) == {letter}


def test_the_fullest_status_fits() -> None:
    for letter in ("x", "測"):
        full = fullest(letter).status
        assert size(fitted(full)) < LARGEST


def test_what_is_given_up_first_is_the_worst_of_the_front_and_never_the_best() -> None:
    full = fullest().status
    smaller = fitted(full)
    assert 5 <= len(smaller.front) < 20
    assert smaller.front == full.front[: len(smaller.front)]
    assert (smaller.best, smaller.finalists) == (full.best, full.finalists)


def test_a_status_that_ended_once_fits_as_it_is() -> None:
    full = fullest().status
    usual = full.model_copy(update={"evaluations": full.evaluations[:FEW_EVALUATIONS]})
    assert size(usual) < LARGEST
    assert fitted(usual) is usual
