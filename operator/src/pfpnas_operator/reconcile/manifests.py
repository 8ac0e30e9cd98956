"""What a Supernet's Jobs left behind, as its status shows it."""

from collections.abc import Mapping

from pfpnas_api.jobs import Manifest
from pfpnas_api.kinds import AccuracyPredictorStatus, CheckpointStatus
from pfpnas_operator.reconcile.rounding import rounded


def checkpoint_in(manifest: Manifest) -> CheckpointStatus | None:
    """The trained weights; None when something of them is lacking."""
    artifacts, figures = manifest.artifacts, manifest.figures
    if not {"checkpoint", "calibration"} <= artifacts.keys() or figures.get("classes", 0) < 2:
        return None
    return CheckpointStatus(
        uri=_uri(artifacts["checkpoint"].sha256),
        sha256=artifacts["checkpoint"].sha256,
        size=artifacts["checkpoint"].size,
        calibration=artifacts["calibration"],
        classes=int(figures["classes"]),
        largest_accuracy=_rounded(figures.get("largestAccuracy")),
        smallest_accuracy=_rounded(figures.get("smallestAccuracy")),
    )


def predictor_in(manifest: Manifest) -> AccuracyPredictorStatus | None:
    """The fitted predictor; None when something of it is lacking."""
    figures: Mapping[str, float] = manifest.figures
    needed = {"samples", "kendallTau", "meanAbsoluteError", "constantMeanAbsoluteError"}
    if "predictor" not in manifest.artifacts or not needed <= figures.keys():
        return None
    return AccuracyPredictorStatus(
        uri=_uri(manifest.artifacts["predictor"].sha256),
        sha256=manifest.artifacts["predictor"].sha256,
        size=manifest.artifacts["predictor"].size,
        samples=int(figures["samples"]),
        kendall_tau=rounded(figures["kendallTau"]),
        mean_absolute_error=figures["meanAbsoluteError"],
        constant_mean_absolute_error=figures["constantMeanAbsoluteError"],
    )


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else rounded(figure)


def _uri(digest: str) -> str:
    return f"sha256:{digest}"


def accuracies(checkpoint: CheckpointStatus) -> str:
    """How good the weights are, in words."""
    parts = [
        f"{name} subnet {value:.1%}"
        for name, value in (("largest", checkpoint.largest_accuracy), ("smallest", checkpoint.smallest_accuracy))
        if value is not None
    ]
    return "public validation accuracy: " + ", ".join(parts) if parts else ""
