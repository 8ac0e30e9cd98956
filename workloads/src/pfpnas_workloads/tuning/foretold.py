"""What the private predictors say of one architecture, as it is told beside a suggestion."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pfpnas_api.kinds import ObjectiveSpec, PredictedMetrics
from pfpnas_workloads.tuning.labels import is_relative
from pfpnas_workloads.tuning.worth import worth

if TYPE_CHECKING:
    from pfpnas_workloads.prediction.private import Prediction
    from pfpnas_workloads.tuning.refit import Refit


def foretold(
    prediction: "Prediction", objective: ObjectiveSpec, *, refit: "Refit", tau: float | None
) -> PredictedMetrics:
    """The prediction of one architecture, arrays `(1,)`, in the units of a trial's metrics."""
    latency = _only(prediction.latency)
    accuracy = _only(prediction.accuracy)
    unit = refit.milliseconds
    return PredictedMetrics(
        accuracy=None if accuracy is None else min(max(accuracy, 0.0), 1.0),
        accuracy_deviation=_only(prediction.accuracy_deviation),
        latency_milliseconds=None if latency is None or unit is None else latency * unit,
        latency_relative=latency if is_relative(objective) else None,
        latency_deviation=_only(prediction.latency_deviation),
        feasible=float(np.clip(worth(objective, prediction).feasible[0], 0, 1)),
        labels=refit.predictors.labels,
        kendall_tau=tau,
    )


def _only(values: NDArray[np.float64] | None) -> float | None:
    return None if values is None else float(values[0])
