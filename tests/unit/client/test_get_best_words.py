"""What `pfpnas get best` says of a model, and of an experiment that has none."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pfpnas_api.kinds import NASExperiment
from pfpnas_operator.client.artifacts import place_inside
from pfpnas_operator.client.best import describe, how_far

NOW = datetime(2026, 1, 2, tzinfo=UTC)
BEST = {
    "trial": "digits-00003",
    "architecture": "r16-k3e2",
    "score": 0.91234,
    "feasible": True,
    "metrics": {
        "accuracy": 0.91234,
        "latencyMilliseconds": {"p50": 0.5, "p90": 1, "mad": 0, "runs": 64, "reference": 0.25},
    },
    "artifact": {"sha256": "a" * 64, "size": 2048},
}


def experiment(*, head: str = "Fitted", **status: Any) -> NASExperiment:
    target = {"pool": "p", "dataset": "digits", "head": head}
    spec = {"supernetRef": {"name": "net"}, "target": target, "budget": {"maxTrials": 6}}
    return NASExperiment.model_validate({"metadata": {"name": "d", "uid": "e"}, "spec": spec, "status": status})


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": NOW}


def test_the_best_is_described_with_what_its_user_decides_by() -> None:
    text = "\n".join(describe(experiment(best=BEST, finished_at=NOW)))
    for part in (
        "digits-00003",
        "r16-k3e2",
        "0.9123",
        "91.2 %",
        "0.500 ms, 2.00 × the reference",
        f"sha256:{'a' * 64}, 2.00 KiB",
    ):
        assert part in text
    assert "so far" not in text


def test_a_fitted_head_is_said_to_be_made_where_the_data_are() -> None:
    assert "pfpnas-agent export --model FILE --dataset digits" in "\n".join(describe(experiment(best=BEST)))
    assert "export" not in "\n".join(describe(experiment(head="Supernet", best=BEST)))


def test_while_the_search_goes_on_the_best_is_the_best_so_far() -> None:
    assert "so far" in next(describe(experiment(best=BEST)))


def test_a_best_outside_the_limits_is_said_to_be_outside() -> None:
    assert "outside the limits" in "\n".join(describe(experiment(best=BEST | {"feasible": False, "violation": 0.1})))


def test_a_skipped_accuracy_is_not_a_figure() -> None:
    metrics = {"accuracySkipped": True, "latencyMilliseconds": BEST["metrics"]["latencyMilliseconds"]}  # type: ignore[index]
    assert "accuracy      skipped" in "\n".join(describe(experiment(best=BEST | {"metrics": metrics})))


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], "0 of 6 trials measured; follow it with `kubectl get nas d -w`"),
        ([condition("Failed", "True", "TooManyFailedTrials")], "Failed=True (TooManyFailedTrials)"),
        ([condition("Suspended", "True", "SpecSuspend")], "Suspended=True (SpecSuspend)"),
        ([condition("SupernetReady", "False", "Training", "epoch 3 of 90")], "(Training): epoch 3 of 90"),
        (
            [condition("AgentsAvailable", "False", "NoHeartbeat", "pool p")],
            "AgentsAvailable=False (NoHeartbeat): pool p",
        ),
        ([condition("AgentsAvailable", "True", "Heard"), condition("Failed", "False", "Ok")], "follow it"),
    ],
)
def test_an_experiment_without_a_best_says_how_far_it_is_and_what_it_waits_for(
    conditions: list[dict[str, Any]], expected: str
) -> None:
    assert expected in how_far(experiment(conditions=conditions))


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("http://pfpnas-artifacts.ml.svc:8080", ("pfpnas-artifacts", "ml")),
        ("http://store.ml.svc.cluster.local:8080/", ("store", "ml")),
        ("https://store.ml.example.com", None),
        ("http://10.0.0.1:8080", None),
        ("s3://models/pfpnas", None),
    ],
)
def test_a_store_inside_the_cluster_is_known_by_its_address(address: str, place: tuple[str, str] | None) -> None:
    assert place_inside(address) == place
