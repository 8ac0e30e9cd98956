"""What an odd entry of the log says is left aside: it is replayed at every start, and must stop no tuner."""

import pytest

from pfpnas_api.jobs import TuneJob
from pfpnas_api.kinds import TunerSpec
from pfpnas_api.messages import LogEntry
from pfpnas_workloads.tuning.answers import Answers
from pfpnas_workloads.tuning.workload import make_proposer
from support.known_answer import KnownAnswer, entry_of, search

KNOWN = KnownAnswer()
MEASURED = 12

ODD: dict[str, dict[str, object]] = {
    "negative latency": {"latency_ms": -1.0},
    "no latency": {"latency_ms": 0.0},
    "endless latency": {"latency_ms": 1e308},
    "immeasurable latency": {"latency_ms": 5e-324},
    "longest latency": {"latency_ms": 1e9, "reference_ms": 1e-6},
    "shortest latency": {"latency_ms": 1e-6, "reference_ms": 1e9},
    "negative reference": {"reference_ms": -1.0},
    "tiny reference": {"reference_ms": 1e-308},
    "accuracy above 1": {"accuracy": 1.5},
    "accuracy below 0": {"accuracy": -0.1},
    "violation of -1": {"violation": -1.0, "outcome": "Infeasible"},
    "violation below 0": {"violation": -7.0},
    "endless violation": {"violation": 1e308, "outcome": "Infeasible"},
    "endless ratio": {"ratios": {"PeakMemory": 1e308}},
    "negative ratio": {"ratios": {"PeakMemory": -3.0}},
    "endless score": {"score": 1e308},
}


@pytest.mark.parametrize("algorithm", ["NSGA2", "TPE"])
@pytest.mark.parametrize("odd", ODD)
def test_the_search_goes_on_after_an_odd_entry(odd: str, algorithm: str) -> None:
    log = [entry_of(found) for found in search(KNOWN, "RandomSearch", seed=2, budget=MEASURED)]
    log[-1] = LogEntry.model_validate(log[-1].model_dump() | ODD[odd])
    tuner = TunerSpec.model_validate({"algorithm": algorithm, "seed": 1, "pseudoTrials": 30})
    job = TuneJob(uid="t", experiment="e", search_space=KNOWN.spec, classes=10, objective=KNOWN.objective, tuner=tuner)
    made = list(Answers(make_proposer(job), made={}).to([*log, LogEntry(event="Ask", count=MEASURED + 2)]))
    assert [suggestion.index for suggestion in made] == [MEASURED, MEASURED + 1]
    assert all(suggestion.architecture and suggestion.predicted for suggestion in made)
