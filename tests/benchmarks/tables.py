"""Tables I to III of the paper on the bundled task: what parallelism, pseudo trials and the latency limit change.

    uv run python tests/benchmarks/tables.py [--seeds 5] [--table I|II|III]

Table I varies the trials dispatched at once (2, 4, 12, 24), Table II the pseudo trials a refit (0 is the plain tuner),
both for TPE, RandomSearch and Anneal, the second for NSGA2 beside them; Table III varies the latency limit as a
multiple of the smallest subnet's, for TPE and for plain random search. What a table does not vary is 4 dispatched, 300
pseudo trials and a limit of 1.6. Every search may measure 40 subnets of the quick start's supernet.

Real are the supernet (trained once, or taken from a finished run by --run), the tuner with its predictors, and every
subnet's figures: accuracy on the private digits by the agent's own head, and two measurements of the latency beside
the smallest subnet's, each in a process of its own on this machine's processor. A subnet is measured when the first
search wants it and kept in --cache; every search draws one of its two latencies. Whole searches are kept too, as long
as the code that they depend on does not change; of subnets that other code measured you are told. So an interrupted
command goes on where it was, and only the first one is long: let nothing else run on the machine then. A seed's
searches are all done before the next seed's begin: what an interrupted command has finished is printed at once by one
with fewer --seeds.

The wall time is simulated: each trial takes the seconds that its build and its measurement really took, so many at once
as are dispatched, each on a worker and a device of its own; the tuner's seconds are added as they were measured.

Columns, each the mean over the seeds with its standard error; "(3 of 5)" behind it where only so many of the seeds have
the figure, as when no trial kept the limit:

  top-1         accuracy on the private validation split of the best trial that keeps the limit
  best five     mean of the five best that keep it
  latency MAPE  of the latencies predicted before the measurement, over the trials that were predicted
  latency τ     Kendall's τ-b of the same (Pearson's r is among the JSON rows); the trials lie close to the limit, where
                ranking is hardest
  measured      trials, and how many of them it took to find the best
  wall time     simulated, and of it the tuner's own seconds
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds tests/support only when it is told

from pfpnas_api.artifacts import FolderStore, write_atomically
from pfpnas_api.jobs import TuneJob
from pfpnas_api.kinds import Latency, ObjectiveSpec, TrialMetrics, TunerSpec
from pfpnas_api.spaces import Architecture
from pfpnas_workloads.prediction import AccuracyPredictor
from support.code_digest import code_digest
from support.markdown import markdown_table
from support.replayed_search import Replay, Yield, replay
from support.search_figures import Figures, Summaries, Summary, figures_of, in_whole_seeds
from support.subnet_table import MEASURING, SubnetTable
from support.trained_supernet import NotTrained, TrainedSupernet, from_run, train

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "runs" / "tables"
"""Ignored by git."""

TRIALS = 40
"""Measurements a search may spend."""

TUNERS = ("TPE", "RandomSearch", "Anneal")
"""The paper's."""

DISPATCHED = (2, 4, 12, 24)
PSEUDO_TRIALS = (0, 10, 150, 300, 1000)
LIMITS = ("1.2", "1.4", "1.6", "2.0")

REFERENCE_MS = 1.0
"""Latencies are told in units of the smallest subnet's: on a machine that slows down, milliseconds would drift."""

SKIPPED_ABOVE = 2.0
"""Multiple of the limit from which the agent skips the accuracy; an experiment's own default."""

CODE = (
    "workloads/src/pfpnas_workloads/tuning",
    "workloads/src/pfpnas_workloads/prediction",
    "crds/src/pfpnas_api",
    "tests/benchmarks/tables.py",
    "tests/support/replayed_search.py",
    "tests/support/search_figures.py",
    "tests/support/trained_supernet.py",
)
"""What a search's course depends on, besides the code that measures its subnets."""


@dataclass(frozen=True)
class Setting:
    """One row: how a search is set up."""

    tuner: str = "TPE"
    dispatched: int = 4
    pseudo_trials: int = 300
    limit: str = "1.6"


TABLES: dict[str, tuple[str, str, tuple[Setting, ...]]] = {
    "I": (
        "trials dispatched at once",
        "dispatched",
        tuple(Setting(tuner, dispatched=count) for tuner in TUNERS for count in DISPATCHED),
    ),
    "II": (
        "pseudo trials",
        "pseudo_trials",
        tuple(Setting(tuner, pseudo_trials=count) for tuner in (*TUNERS, "NSGA2") for count in PSEUDO_TRIALS),
    ),
    "III": (
        "latency limit, × the smallest subnet",
        "limit",
        tuple(
            Setting(tuner, pseudo_trials=count, limit=limit)
            for tuner, count in (("TPE", Setting.pseudo_trials), ("RandomSearch", 0))
            for limit in LIMITS
        ),
    ),
}
"""By number: what is varied, the field of `Setting` that it is, and the rows."""

COLUMNS = {
    "top1": ("top-1", "fraction"),
    "best_five": ("mean of the five best", "fraction"),
    "latency_mape": ("latency MAPE", "fraction"),
    "latency_tau": ("latency Kendall τ", "τ"),
    "latency_pearson": ("latency Pearson r", "r"),
    "accuracy_tau": ("accuracy Kendall τ", "τ"),
    "measured": ("measurements", "trials"),
    "found_at": ("measurements until the best", "trials"),
    "wall_seconds": ("wall time, simulated", "s"),
    "tuner_seconds": ("tuner's seconds of it", "s"),
}
"""Figures of a search: words and unit."""


@dataclass(frozen=True)
class Lab:
    """What every search needs."""

    supernet: TrainedSupernet
    public: AccuracyPredictor
    subnets: SubnetTable
    code: str

    def figures(self, setting: Setting, seed: int) -> Figures:
        """One search's figures; kept on disk, looked up where they are known."""
        place = self.subnets.folder / "searches" / f"{self._key(setting, seed)}.json"
        if place.exists():
            known: Figures = json.loads(place.read_text(encoding="utf-8"))
            return known
        found = figures_of(self._search(setting, seed))
        write_atomically(place, json.dumps(found).encode())
        return found

    def _key(self, setting: Setting, seed: int) -> str:
        parts = [asdict(setting), seed, self.subnets.key, self.supernet.predictor.sha256, self.code]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]

    def _search(self, setting: Setting, seed: int) -> Replay:
        job = TuneJob(
            uid="tables",
            experiment="tables",
            search_space=self.supernet.spec.search_space,
            classes=self.supernet.classes,
            objective=ObjectiveSpec.model_validate(
                {"constraints": [{"metric": "Latency", "maxRelative": setting.limit}]}
            ),
            tuner=TunerSpec(algorithm=setting.tuner, seed=seed, pseudo_trials=setting.pseudo_trials),
            checkpoint=self.supernet.checkpoint.sha256,
        )
        lookup = partial(self._yield, seed=seed, skipped_above=SKIPPED_ABOVE * float(setting.limit))
        return replay(job, lookup, trials=TRIALS, in_flight=setting.dispatched, public=self.public)

    def _yield(self, architecture: Architecture, *, seed: int, skipped_above: float) -> Yield:
        subnet = self.subnets.of(architecture)
        relative = subnet.drawn(seed, architecture.id)
        skipped = relative > skipped_above
        p50 = relative * REFERENCE_MS
        metrics = TrialMetrics(
            accuracy=None if skipped else subnet.accuracy,
            accuracy_samples=None if skipped else subnet.samples,
            accuracy_skipped=skipped,
            latency_milliseconds=Latency(p50=p50, p90=p50, mad=0, runs=64, reference=REFERENCE_MS),
        )
        return Yield(metrics, subnet.build_seconds + (subnet.latency_seconds if skipped else subnet.whole_seconds))


def searched(lab: Lab, numbers: Sequence[str], seeds: int) -> dict[Setting, list[Figures]]:
    """The figures of every row of some tables, by seed; a row that several tables have is searched once."""
    settings = list(dict.fromkeys(setting for number in numbers for setting in TABLES[number][2]))
    telling = Telling(len(settings) * seeds)

    def search(setting: Setting, seed: int) -> Figures:
        found = lab.figures(setting, seed)
        telling.search(setting, seed, lab.subnets)
        return found

    return in_whole_seeds(search, settings, seeds=seeds)


def shown(setting: Setting, field: str, figures: Summaries) -> list[str]:
    """A row of a table as text."""
    measured, found_at = figures["measured"], figures["found_at"]
    spent = f"{measured.mean:.0f}" if measured else "–"
    return [
        _name(setting, field),
        str(getattr(setting, field)),
        _percent(figures["top1"]),
        _percent(figures["best_five"]),
        _percent(figures["latency_mape"]),
        _number(figures["latency_tau"], 2),
        f"{spent} (best at {_number(found_at, 0)})",
        f"{_number(figures['wall_seconds'], 1, unit=' s')} (tuner {_number(figures['tuner_seconds'], 1)})",
    ]


def _name(setting: Setting, field: str) -> str:
    return setting.tuner + (" alone" if setting.pseudo_trials == 0 and field != "pseudo_trials" else "")


HEADINGS = ["top-1", "best five", "latency MAPE", "latency τ", "measured", "wall time (simulated)"]


def _percent(summary: Summary | None) -> str:
    return "–" if summary is None else summary.text(2, scale=100, unit=" %")


def _number(summary: Summary | None, digits: int, *, unit: str = "") -> str:
    return "–" if summary is None else summary.text(digits, unit=unit)


def json_rows(number: str, setting: Setting, field: str, figures: Summaries, *, seeds: int) -> Iterator[dict[str, Any]]:
    """A row of a table as JSON rows, one a figure."""
    name = f"table {number}: {_name(setting, field)}, {field.replace('_', ' ')} {getattr(setting, field)}"
    for column, summary in figures.items():
        words, unit = COLUMNS[column]
        yield {
            "row": f"{name}, {words}",
            "figure": None if summary is None else round(summary.mean, 4),
            "unit": unit,
            "target": None,
            "peer": None,
            "peer_figure": None,
            "standard_error": None if summary is None or summary.error is None else round(summary.error, 4),
            "seeds": 0 if summary is None else summary.seeds,
            "seeds_asked": seeds,
        }


class Telling:
    """Progress, on standard error."""

    def __init__(self, searches: int) -> None:
        self._searches, self._done, self._started = searches, 0, time.monotonic()

    def search(self, setting: Setting, seed: int, subnets: SubnetTable) -> None:
        """One more search is done."""
        self._done += 1
        spent = time.monotonic() - self._started
        say(
            f"{self._done} of {self._searches} searches, {spent:.0f} s: {setting.tuner}, {setting.dispatched} "
            f"dispatched, {setting.pseudo_trials} pseudo trials, limit {setting.limit}, seed {seed}; "
            f"{subnets.measured_now} subnets measured now, {len(subnets)} known"
        )


def say(text: str) -> None:
    """Tell whoever waits."""
    print(text, file=sys.stderr, flush=True)


def open_lab(cache: Path, run: Path | None) -> Lab:
    """Supernet, predictor and the table of subnets.

    Raises:
        NotTrained: there is no supernet, and it could not be trained.
    """
    store = FolderStore(cache / "artifacts")
    supernet = from_run(run, store) if run else train(store, tell=say)
    public = AccuracyPredictor.load(store.get(supernet.predictor.sha256))
    return Lab(supernet, public, SubnetTable(supernet, cache, tell=say), code_digest((*CODE, *MEASURING)))


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="searches a row (5)")
    parser.add_argument("--table", choices=list(TABLES), action="append", help="only this one; may be repeated")
    parser.add_argument("--json", action="store_true", help="JSON rows, one a figure, in place of Markdown")
    parser.add_argument("--cache", type=Path, default=CACHE, help="what is kept between commands (runs/tables)")
    parser.add_argument(
        "--run", type=Path, help="take the supernet of this finished `pfpnas run examples/digits` (train one)"
    )
    given = parser.parse_args()
    if given.seeds < 1:
        parser.error("--seeds: at least 1")
    return given


def main() -> int:
    """Print the tables; 1 where there is no supernet."""
    given, started = arguments(), time.monotonic()
    try:
        lab = open_lab(given.cache, given.run)
    except NotTrained as e:
        say(str(e))
        return 1
    chosen = given.table or list(TABLES)
    found = searched(lab, chosen, given.seeds)
    for number in chosen:
        _print_table(number, found, given)
    subnets, noise = lab.subnets, lab.subnets.noise
    say(
        f"{time.monotonic() - started:.0f} s in all; {subnets.measured_now} subnets measured now in "
        f"{subnets.seconds_now:.0f} s, {len(subnets)} known; latency's noise floor "
        + (f"{100 * noise:.1f} %" if noise is not None else "unknown")
    )
    return 0


def _print_table(number: str, found: Mapping[Setting, list[Figures]], given: argparse.Namespace) -> None:
    varied, field, settings = TABLES[number]
    rows = []
    for setting in settings:
        figures = {name: Summary.of([one[name] for one in found[setting]]) for name in COLUMNS}
        rows.append(shown(setting, field, figures))
        if given.json:
            for row in json_rows(number, setting, field, figures, seeds=given.seeds):
                print(json.dumps(row, ensure_ascii=False), flush=True)
    if not given.json:
        print(f"\nTable {number}: {varied} ({given.seeds} seeds, mean ± standard error)\n")
        print(markdown_table(["tuner", varied, *HEADINGS], rows), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
