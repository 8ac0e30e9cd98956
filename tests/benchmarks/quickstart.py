"""How long the first thing a newcomer runs takes, stage by stage, and what comes of it.

    uv run python tests/benchmarks/quickstart.py

One run of `pfpnas run examples/digits` into a temporary folder; nothing else should run on the machine. The stages'
times come from the documents and the log that the run leaves behind; their sum lacks what lies between them.
"""

import json
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from pfpnas_api.kinds import NASExperiment, Supernet
from pfpnas_operator.local.folder import RunFolder

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "digits"
TARGET_MINUTES = 10.0
"""Of the whole run, on two cores."""

LEAST_TRIALS = 24


def main() -> int:
    """Run, and print a row a line; the run's exit code."""
    with tempfile.TemporaryDirectory(prefix="pfpnas-quickstart-") as scratch:
        out = Path(scratch) / "digits"
        started = time.monotonic()
        code = _run(out)
        minutes = (time.monotonic() - started) / 60
        if code == 0:
            for row in _rows(out, minutes):
                print(json.dumps(row))
    return code


def _run(out: Path) -> int:
    """What the run says goes to standard error: standard output has the rows alone."""
    program = str(Path(sys.executable).with_name("pfpnas"))
    return subprocess.run([program, "run", str(EXAMPLE), "--out", str(out)], stdout=sys.stderr, check=False).returncode


def _rows(out: Path, minutes: float) -> list[dict[str, Any]]:
    supernet, experiment, trials = RunFolder(out).read()
    report = json.loads((out / "report.json").read_text())
    rows = [_row("quickstart: whole run", minutes, "minutes", target=TARGET_MINUTES)]
    rows += [_row(f"quickstart: {name}", took, "minutes") for name, took in _stages(out, supernet, experiment).items()]
    rows.append(_row("quickstart: trials", len(trials), "trials", target=LEAST_TRIALS))
    return rows + _accuracies(report)


def _stages(out: Path, supernet: Supernet, experiment: NASExperiment) -> dict[str, float]:
    status, searched = supernet.status, experiment.status
    moments = [status.started_at, _logged(out, "Trained"), status.finished_at, searched.started_at]
    moments += [searched.search_finished_at, searched.finished_at]
    names = ("pretrain", "predictor", "reference model", "search", "finale")
    spans = zip(names, moments[:-1], moments[1:], strict=True)
    return {name: (end - begin).total_seconds() / 60 for name, begin, end in spans if begin and end}


def _logged(out: Path, reason: str) -> datetime | None:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return next((datetime.fromisoformat(line["time"]) for line in lines if line["reason"] == reason), None)


def _accuracies(report: dict[str, Any]) -> list[dict[str, Any]]:
    """On the private test split, each with its standard error; the best is the figure, the baseline its peer."""
    rows, best = [], report["best"]
    rows.append(_row("quickstart: best on the test split", best["testAccuracy"], "fraction"))
    rows.append(_row("quickstart: its standard error", best["testStandardError"], "fraction"))
    for baseline in report["baselines"]:
        if baseline["name"] == "best" or baseline["accuracy"] is None:
            continue
        text = f"quickstart: best against {baseline['label']}"
        rows.append(
            _row(text, best["testAccuracy"], "fraction", peer=baseline["label"], peer_figure=baseline["accuracy"])
        )
        # Two standard errors of the difference are what the best has to be ahead by.
        target = 2.0 if baseline["name"] in ("untrained", "rawPixels") else None
        rows.append(_row(f"{text}, ahead by", baseline["differenceInErrors"], "standard errors", target=target))
    return rows


def _row(
    row: str,
    figure: float | None,
    unit: str,
    *,
    target: float | None = None,
    peer: str | None = None,
    peer_figure: float | None = None,
) -> dict[str, Any]:
    return {
        "row": row,
        "figure": _rounded(figure),
        "unit": unit,
        "target": target,
        "peer": peer,
        "peer_figure": _rounded(peer_figure),
    }


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)


if __name__ == "__main__":
    raise SystemExit(main())
