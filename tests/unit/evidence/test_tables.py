"""The paper's tables: which searches each one has, that a search is set up as its row says, and what a row shows."""

from dataclasses import asdict, fields
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from benchmarks import tables
from benchmarks.tables import COLUMNS, HEADINGS, TABLES, TRIALS, Lab, Setting, json_rows, shown
from pfpnas_api.artifacts import FolderStore
from pfpnas_api.jobs import TuneJob
from pfpnas_api.kinds import ArtifactRef
from pfpnas_workloads.prediction import AccuracyPredictor
from support.replayed_search import Replay
from support.search_figures import Summaries, Summary, figures_of
from support.subnet_table import SubnetTable
from support.tiny_supernet import tiny_spec
from support.trained_supernet import TrainedSupernet

PAPERS_TUNERS = ("TPE", "RandomSearch", "Anneal")


def varied(number: str, *names: str) -> set[tuple[object, ...]]:
    """These fields of a table's rows; all others are what a table doesn't vary."""
    rows = TABLES[number][2]
    fixed = {field.name for field in fields(Setting)} - set(names)
    assert all(getattr(row, name) == getattr(Setting(), name) for row in rows for name in fixed)
    found = {tuple(getattr(row, name) for name in names) for row in rows}
    assert len(found) == len(rows)
    return found


def test_table_one_varies_the_trials_dispatched_at_once() -> None:
    assert varied("I", "tuner", "dispatched") == set(product(PAPERS_TUNERS, (2, 4, 12, 24)))


def test_table_two_varies_the_pseudo_trials() -> None:
    rows = product((*PAPERS_TUNERS, "NSGA2"), (0, 10, 150, 300, 1000))
    assert varied("II", "tuner", "pseudo_trials") == set(rows)


def test_table_three_varies_the_latency_limit_with_and_without_predictors() -> None:
    tuners = (("TPE", 300), ("RandomSearch", 0))
    rows = {(*tuner, limit) for tuner in tuners for limit in ("1.2", "1.4", "1.6", "2.0")}
    assert varied("III", "tuner", "pseudo_trials", "limit") == rows


def test_what_a_table_does_not_vary_is_said_in_its_words() -> None:
    assert asdict(Setting()) == {"tuner": "TPE", "dispatched": 4, "pseudo_trials": 300, "limit": "1.6"}
    words = " ".join((tables.__doc__ or "").split())
    assert "What a table does not vary is 4 dispatched, 300 pseudo trials and a limit of 1.6." in words


def test_a_search_is_set_up_as_its_row_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[TuneJob, dict[str, Any]]] = []

    def replay(job: TuneJob, lookup: object, **settings: Any) -> Replay:
        asked.append((job, settings))
        return Replay()

    monkeypatch.setattr(tables, "replay", replay)
    nowhere = ArtifactRef(sha256="0" * 64, size=1)
    supernet = TrainedSupernet(tiny_spec(), FolderStore(tmp_path), nowhere, nowhere, nowhere, 10)
    public = AccuracyPredictor(supernet.space, nowhere.sha256, ())
    lab = Lab(supernet, public, SubnetTable(supernet, tmp_path, tell=list[str]().append), "code")
    lab.figures(Setting("Anneal", dispatched=12, pseudo_trials=150, limit="1.4"), 7)
    ((job, settings),) = asked
    assert (job.tuner.algorithm, job.tuner.seed, job.tuner.pseudo_trials) == ("Anneal", 7, 150)
    limit = job.objective.constraint("Latency")
    assert limit is not None
    assert (limit.max_relative, limit.max) == ("1.4", None)
    assert settings == {"trials": TRIALS, "in_flight": 12, "public": public}


def summaries(**changed: Summary | None) -> Summaries:
    """Made-up figures, each another number, of five seeds."""
    means = {
        "top1": 0.91,
        "best_five": 0.82,
        "latency_mape": 0.073,
        "latency_tau": 0.64,
        "latency_pearson": 0.55,
        "accuracy_tau": 0.46,
        "measured": 40.0,
        "found_at": 37.0,
        "wall_seconds": 280.0,
        "tuner_seconds": 19.0,
    }
    assert means.keys() == COLUMNS.keys() == figures_of(Replay()).keys()
    return {name: Summary(mean, mean / 10, 5, 5) for name, mean in means.items()} | changed


def cells(setting: Setting, figures: Summaries, *, field: str = "dispatched") -> dict[str, str]:
    """A row's cells by their headings."""
    row = shown(setting, field, figures)
    return dict(zip(["tuner", "varied", *HEADINGS], row, strict=True))


def test_every_figure_stands_under_its_heading() -> None:
    assert cells(Setting("Anneal", dispatched=12), summaries()) == {
        "tuner": "Anneal",
        "varied": "12",
        "top-1": "91.00 ± 9.10 %",
        "best five": "82.00 ± 8.20 %",
        "latency MAPE": "7.30 ± 0.73 %",
        "latency τ": "0.64 ± 0.06",
        "measured": "40 (best at 37 ± 4)",
        "wall time (simulated)": "280.0 ± 28.0 s (tuner 19.0 ± 1.9)",
    }


def test_a_figure_that_some_seeds_lack_says_how_many_have_it() -> None:
    assert cells(Setting(), summaries(top1=Summary(0.9, 0.01, 3, 5)))["top-1"] == "90.00 ± 1.00 % (3 of 5)"
    assert cells(Setting(), summaries(found_at=Summary(20.0, 1.0, 3, 5)))["measured"] == "40 (best at 20 ± 1 (3 of 5))"


def test_a_figure_that_no_seed_has_is_a_dash() -> None:
    row = cells(Setting(), dict.fromkeys(COLUMNS))
    assert [row[name] for name in ("top-1", "best five", "latency MAPE", "latency τ")] == ["–"] * 4
    assert (row["measured"], row["wall time (simulated)"]) == ("– (best at –)", "– (tuner –)")


def test_a_tuner_without_predictors_is_named_so_where_not_all_have_them() -> None:
    plain = Setting("RandomSearch", pseudo_trials=0)
    assert cells(plain, summaries(), field="limit")["tuner"] == "RandomSearch alone"
    assert cells(plain, summaries(), field="pseudo_trials")["tuner"] == "RandomSearch"


def test_json_rows_have_every_figure_and_what_it_is_of() -> None:
    figures = summaries(top1=Summary(0.9, 0.01, 3, 5), best_five=None)
    rows = list(json_rows("III", Setting("RandomSearch", pseudo_trials=0), "limit", figures, seeds=5))
    assert len(rows) == len(COLUMNS)
    first, second = rows[:2]
    assert first["row"] == "table III: RandomSearch alone, limit 1.6, top-1"
    assert (first["figure"], first["standard_error"], first["seeds"], first["seeds_asked"]) == (0.9, 0.01, 3, 5)
    assert (second["figure"], second["standard_error"], second["seeds"]) == (None, None, 0)
