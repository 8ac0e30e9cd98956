"""Every tuner: deterministic, within its space, and learning only from what is known."""

import subprocess
import sys

import numpy as np
import pytest

from pfpnas_api.jobs import TuneJob
from pfpnas_api.kinds import ObjectiveSpec, SearchSpaceSpec, TunerSpec
from pfpnas_api.spaces import Architecture, SearchSpace, cost
from pfpnas_workloads.tuning._base import DESIGN_SUGGESTIONS, RESULTS_NEEDED, Observation, Tuner
from pfpnas_workloads.tuning.anneal import Anneal
from pfpnas_workloads.tuning.losses import FAILED_LOSS
from pfpnas_workloads.tuning.nsga2 import NSGA2
from pfpnas_workloads.tuning.random_search import RandomSearch
from pfpnas_workloads.tuning.tpe import TPE

SPACE = SearchSpace()
TUNERS = (RandomSearch, TPE, Anneal, NSGA2)
MODELS = (TPE, Anneal, NSGA2)


def measured(architecture: Architecture, *, accuracy: float) -> Observation:
    latency_ms = cost(SPACE, architecture).macs / 1e6
    return Observation(architecture, -accuracy, accuracy=accuracy, latency_ms=latency_ms)


def observed(count: int, *, pending: int = 0, failed: int = 0) -> list[Observation]:
    rng = np.random.default_rng(7)
    done = [measured(SPACE.sample(rng), accuracy=float(rng.random())) for _ in range(count)]
    lost = [Observation(SPACE.sample(rng), FAILED_LOSS) for _ in range(failed)]
    return done + lost + [Observation(SPACE.sample(rng)) for _ in range(pending)]


@pytest.mark.parametrize("kind", TUNERS)
def test_same_seed_index_and_history_give_the_same_architecture(kind: type[Tuner]) -> None:
    history = observed(12, pending=3, failed=2)
    first = [kind(SPACE, seed=5).suggest(index, history) for index in range(6, 12)]
    assert first == [kind(SPACE, seed=5).suggest(index, history) for index in range(6, 12)]


@pytest.mark.parametrize("kind", TUNERS)
def test_seed_index_and_draw_each_change_what_is_drawn(kind: type[Tuner]) -> None:
    history, tuner = observed(12), kind(SPACE, seed=5)
    reference = tuner.suggest(20, history)
    assert kind(SPACE, seed=6).suggest(20, history) != reference
    assert tuner.suggest(21, history) != reference
    assert tuner.suggest(20, history, draw=1) != reference


@pytest.mark.parametrize("kind", TUNERS)
def test_a_call_leaves_no_trace(kind: type[Tuner]) -> None:
    tuner, history = kind(SPACE, seed=1), observed(15, pending=2)
    alone = kind(SPACE, seed=1).suggest(15, history)
    for index in range(12, 15):
        tuner.suggest(index, history[:index])
    assert tuner.suggest(15, history) == alone


@pytest.mark.parametrize("kind", MODELS)
def test_the_first_suggestions_are_not_the_models(kind: type[Tuner]) -> None:
    tuner = kind(SPACE, seed=3)
    assert [tuner.origin(index, observed(30)) for index in range(DESIGN_SUGGESTIONS)] == ["Random"] * DESIGN_SUGGESTIONS
    assert tuner.origin(DESIGN_SUGGESTIONS, observed(30)) == "Tuner"


@pytest.mark.parametrize("kind", MODELS)
def test_without_results_there_is_nothing_to_model(kind: type[Tuner]) -> None:
    assert kind(SPACE, seed=3).origin(50, observed(RESULTS_NEEDED - 1, pending=47)) == "Random"
    assert kind(SPACE, seed=3).origin(50, observed(RESULTS_NEEDED, pending=46)) == "Tuner"


def test_random_search_never_claims_to_have_chosen() -> None:
    assert RandomSearch(SPACE, seed=0).origin(100, observed(50)) == "Random"


@pytest.mark.parametrize("kind", MODELS)
def test_a_history_of_failures_alone_still_gives_suggestions(kind: type[Tuner]) -> None:
    assert SPACE.contains(kind(SPACE, seed=0).suggest(30, observed(0, failed=30)))


def test_random_draws_take_every_value_of_every_gene_in_equal_shares() -> None:
    tuner = RandomSearch(SPACE, seed=0)
    drawn = [tuner.suggest(index, []) for index in range(600)]
    for wanted in SPACE.resolutions:
        assert 240 < sum(architecture.resolution == wanted for architecture in drawn) < 360
    expands = [architecture.stages[0][0].expand for architecture in drawn]
    assert all(140 < expands.count(value) < 260 for value in SPACE.expand_ratios)


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_moves_towards_what_was_good(kind: type[Tuner]) -> None:
    rng = np.random.default_rng(0)
    nets = [SPACE.sample(rng) for _ in range(60)]
    history = [measured(net, accuracy=1 - sum(net.depths) / 12) for net in nets]
    drawn = [kind(SPACE, seed=0).suggest(index, history) for index in range(60, 80)]
    mean = sum(sum(net.depths) for net in drawn) / len(drawn)
    assert mean < sum(sum(net.depths) for net in nets) / len(nets) - 0.5


@pytest.mark.parametrize("kind", TUNERS)
def test_a_space_of_one_net_gives_that_net(kind: type[Tuner]) -> None:
    space = SearchSpace(kernel_sizes=(3,), expand_ratios=(2,), depths=(1,), resolutions=(16,))
    only: Architecture = kind(space, seed=0).suggest(9, [Observation(space.minimum(), 0.5)] * 9)
    assert only == space.minimum()


def _modules_after(script: str) -> set[str]:
    """The top-level modules that a fresh process has after a script."""
    script += "; import sys; print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(done.stdout.split())


def test_the_tuner_never_imports_torch() -> None:
    # The algorithms and scikit-learn are imported when a search first asks for them, all within the tuner's process.
    script = (
        "import pfpnas_workloads.cli, pfpnas_workloads.tuning.workload, pfpnas_workloads.tuning.pseudo; "
        "from pfpnas_workloads.tuning import anneal, nsga2, random_search, tpe; "
        "import scipy.special, sklearn.ensemble"
    )
    modules = _modules_after(script)
    assert modules >= {"hyperopt", "pymoo", "sklearn"}
    assert "torch" not in modules


def _proposer(algorithm: str, pseudo_trials: int) -> str:
    """A script that makes a proposer."""
    job = TuneJob(
        uid="tune",
        experiment="e",
        search_space=SearchSpaceSpec(backbone="MobileNetV2"),
        classes=10,
        objective=ObjectiveSpec(),
        tuner=TunerSpec.model_validate({"algorithm": algorithm, "pseudoTrials": pseudo_trials}),
    )
    return (
        "from pfpnas_api.jobs import TuneJob; from pfpnas_api.messages import LogEntry; "
        "from pfpnas_workloads.tuning.answers import Answers; "
        "from pfpnas_workloads.tuning.workload import make_proposer; "
        f"job = TuneJob.model_validate_json({job.model_dump_json(by_alias=True)!r}); "
    )


@pytest.mark.parametrize(
    ("algorithm", "library"), [("RandomSearch", "hyperopt"), ("TPE", "hyperopt"), ("NSGA2", "pymoo")]
)
@pytest.mark.parametrize("pseudo_trials", [0, 50])
def test_a_tuner_that_is_prepared_has_its_library(algorithm: str, library: str, pseudo_trials: int) -> None:
    script = _proposer(algorithm, pseudo_trials) + "make_proposer(job).tuner.prepare()"
    assert library in _modules_after(script)


@pytest.mark.parametrize("algorithm", ["TPE", "Anneal", "NSGA2"])
@pytest.mark.parametrize("pseudo_trials", [0, 50])
def test_the_start_up_design_needs_no_tuners_library(algorithm: str, pseudo_trials: int) -> None:
    script = (
        f"{_proposer(algorithm, pseudo_trials)}"
        f"made = list(Answers(make_proposer(job), made={{}}).to([LogEntry(event='Ask', count={DESIGN_SUGGESTIONS})])); "
        f"assert len(made) == {DESIGN_SUGGESTIONS}"
    )
    modules = _modules_after(script)
    assert not modules & {"hyperopt", "pymoo"}
    assert pseudo_trials or not modules & {"sklearn", "scipy"}, "nothing is predicted"
