"""The public predictor: its word is told beside each suggestion, and private predictors may start from it."""

from dataclasses import replace

from pfpnas_api.artifacts import ArtifactStore
from pfpnas_api.kinds import ArtifactRef, PredictedMetrics
from pfpnas_api.messages import Suggestion
from pfpnas_api.spaces import SearchSpace
from pfpnas_workloads.prediction import AccuracyPredictor, PredictorError
from pfpnas_workloads.runtime import BadInput


def load_predictor(
    artifact: ArtifactRef | None, store: ArtifactStore, *, space: SearchSpace
) -> AccuracyPredictor | None:
    """The experiment's public predictor, if it has one.

    Raises:
        BadInput: it is no predictor, or one of another search space.
        ArtifactError: it isn't in the store, or damaged.
    """
    if artifact is None:
        return None
    try:
        predictor = AccuracyPredictor.load(store.get(artifact.sha256))
    except PredictorError as e:
        raise BadInput(f"predictor {artifact.sha256}: {e}; fit the predictor again") from e
    if replace(predictor.space, classes=space.classes) != space:
        raise BadInput(f"predictor {artifact.sha256} is of another search space: fit the predictor again")
    return predictor


def with_prediction(suggestion: Suggestion, predictor: AccuracyPredictor | None) -> Suggestion:
    """The suggestion with the accuracy that the predictor expects on the public data."""
    if predictor is None or suggestion.architecture is None:
        return suggestion
    (accuracy,) = predictor.predict([predictor.space.parse(suggestion.architecture)])
    predicted = suggestion.predicted or PredictedMetrics()
    predicted = predicted.model_copy(update={"public_accuracy": float(accuracy)})
    return suggestion.model_copy(update={"predicted": predicted})
