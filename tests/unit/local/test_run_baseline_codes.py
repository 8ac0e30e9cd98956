"""Exit codes of `pfpnas run --baseline`: the search's own, unless it is the baseline that went wrong."""

import io
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from pfpnas_api.kinds import Supernet
from pfpnas_operator.local import baseline_run
from pfpnas_operator.local.ending import DONE, FAILED, INFEASIBLE, INTERRUPTED
from pfpnas_operator.local.folder import FolderError, RunFolder
from pfpnas_operator.local.run import RunRequest, Voice
from support.report_builders import make_experiment, make_supernet, simulated_trials, with_result

SUPERNET = make_supernet()


class Runs:
    """Stands for `perform`: the first call leaves a search of 6 trials behind, every one has its exit code."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.requests: list[RunRequest] = []

    def __call__(self, request: RunRequest, voice: Voice) -> int:
        self.requests.append(request)
        if len(self.requests) == 1 and request.out is not None:
            experiment = make_experiment()
            trials = simulated_trials(experiment, SUPERNET.space(), count=6)
            folder = RunFolder(request.out)
            folder.write_supernet(SUPERNET)
            folder.write_experiment(with_result(experiment, trials))
            for trial in trials:
                folder.write_trial(trial)
        return self.codes.pop(0)


def _beside(
    tmp_path: Path,
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
    baseline: str = "random",
    *,
    supernet: Supernet = SUPERNET,
) -> tuple[int, str]:
    monkeypatch.setattr(baseline_run, "perform", runs)
    documents = tmp_path / "search.yaml"
    documents.write_text(yaml.safe_dump_all([supernet.document(), make_experiment().document()]))
    request = RunRequest(
        paths=(documents,),
        out=tmp_path / "out",
        experiment=None,
        redis_url="redis://somewhere",
        local_agent=False,
        overrides=(),
    )
    said = io.StringIO()
    voice = Voice(out=Console(file=said), errors=Console(file=said))
    return baseline_run.perform_beside(request, voice, baseline=baseline), said.getvalue()


@pytest.mark.parametrize(
    ("search", "beside", "expected"),
    [
        (DONE, DONE, DONE),
        (DONE, INFEASIBLE, DONE),
        (INFEASIBLE, DONE, INFEASIBLE),
        (DONE, INTERRUPTED, INTERRUPTED),
        (INFEASIBLE, FAILED, FAILED),
    ],
)
def test_code_is_the_searchs_own_unless_the_baseline_goes_wrong(
    search: int, beside: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(search, beside)
    code, said = _beside(tmp_path, runs, monkeypatch)
    assert code == expected
    assert (tmp_path / "out" / "report.html").is_file()
    assert "report with its baseline: " in said
    asked = runs.requests[1]
    assert asked.overrides == ("experiment.budget.maxTrials=6",)
    assert (asked.out, asked.redis_url, asked.local_agent) == (tmp_path / "out/baseline", "redis://somewhere", False)


@pytest.mark.parametrize("code", [FAILED, INTERRUPTED])
def test_search_without_a_result_has_no_baseline(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(code)
    assert _beside(tmp_path, runs, monkeypatch)[0] == code
    assert len(runs.requests) == 1


def test_baseline_that_was_given_is_looked_at_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(DONE)
    with pytest.raises(FolderError, match="holds no run") as refused:
        _beside(tmp_path, runs, monkeypatch, baseline=str(tmp_path / "randm"))
    assert "or `random`" in str(refused.value)
    assert runs.requests == []


def test_baseline_that_cannot_be_made_fails_after_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = Runs(DONE)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "baseline").write_text("in the way")
    code, said = _beside(tmp_path, runs, monkeypatch)
    assert code == FAILED
    assert "The search itself has ended" in said


def test_run_that_trains_its_own_weights_says_that_another_checkpoint_can_not_be_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = RunFolder(tmp_path / "other")
    other.write_supernet(SUPERNET)
    other.write_experiment(make_experiment())
    fresh = make_supernet(trained=False)
    _, said = _beside(tmp_path, Runs(FAILED), monkeypatch, baseline=str(other.root), supernet=fresh)
    assert "both need the same checkpoint" in " ".join(said.split())
