"""Figures without the digits that say nothing, rounded when they are taken in: what is compared is what is shown.

Were they rounded where they are shown only, a search that is read again from its status would compare others.
"""

from typing import Final

from pfpnas_api.kinds import Accuracy, Latency
from pfpnas_api.messages import MeasureResult

DIGITS: Final = 6
"""After the point. Of milliseconds: a nanosecond, as agents' clocks count. Of an accuracy: two that are shares of the
same images stay apart, unless there are a million of these."""

LEAST: Final = 10.0**-DIGITS


def rounded(value: float) -> float:
    """A figure in `DIGITS` after the point."""
    return round(value, DIGITS)


def rounded_duration(milliseconds: float) -> float:
    """The same of a duration, which is never nothing."""
    return max(rounded(milliseconds), LEAST)


def rounded_latency(latency: Latency) -> Latency:
    """The same of a distribution of durations."""
    reference = latency.reference
    return latency.model_copy(
        update={
            "p50": rounded_duration(latency.p50),
            "p90": rounded_duration(latency.p90),
            "mad": rounded(latency.mad),
            "reference": None if reference is None else rounded_duration(reference),
        }
    )


def rounded_result(result: MeasureResult) -> MeasureResult:
    """What an agent measured; what no column shows stays as it is."""
    latency, accuracy = result.latency, result.accuracy
    return result.model_copy(
        update={
            "latency": None if latency is None else rounded_latency(latency),
            "accuracy": None if accuracy is None else _rounded_accuracy(accuracy),
        }
    )


def _rounded_accuracy(accuracy: Accuracy) -> Accuracy:
    return accuracy.model_copy(update={"value": rounded(accuracy.value)})
