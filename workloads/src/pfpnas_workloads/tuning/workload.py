"""The workload `tune`: suggestions for one experiment, until told to stop."""

from typing import Final

from pfpnas_api.bus import TunerBus
from pfpnas_api.jobs import TuneJob
from pfpnas_api.kinds import TunerSpec
from pfpnas_api.messages import Progress, Suggestion
from pfpnas_api.spaces import SearchSpace
from pfpnas_workloads.prediction import AccuracyPredictor
from pfpnas_workloads.runtime import Interrupted, JobContext, logger
from pfpnas_workloads.tuning._base import Tuner
from pfpnas_workloads.tuning.anneal import Anneal
from pfpnas_workloads.tuning.answers import Answers
from pfpnas_workloads.tuning.log import LogReader, LogRestarted
from pfpnas_workloads.tuning.prediction import load_predictor, with_prediction
from pfpnas_workloads.tuning.propose import Proposer
from pfpnas_workloads.tuning.random_search import RandomSearch
from pfpnas_workloads.tuning.region import Region
from pfpnas_workloads.tuning.tpe import TPE

TUNERS: Final[dict[str, type[Tuner]]] = {"TPE": TPE, "RandomSearch": RandomSearch, "Anneal": Anneal}
"""By `tuner.algorithm`."""


def make_tuner(spec: TunerSpec, space: SearchSpace) -> Tuner:
    """The tuner that an experiment wishes for."""
    return TUNERS[spec.algorithm](space, seed=spec.seed)


def make_proposer(job: TuneJob) -> Proposer:
    """The experiment's tuner within the experiment's limits."""
    space = job.search_space.space(classes=job.classes)
    return Proposer(make_tuner(job.tuner, space), Region.of(space, job.objective))


def run_tune(job: TuneJob, context: JobContext) -> None:
    """Answer every ask of the experiment's log, until told to stop.

    Nothing is kept here: a new process, or Redis flushed and written again, leads to the same suggestions, and no
    index is answered twice.

    Raises:
        BadInput: no Redis was named, or the predictor is of no use here.
        ArtifactError: the predictor isn't in the store.
    """
    bus = TunerBus(context.required_client(), experiment=job.experiment)
    proposer = make_proposer(job)
    predictor = load_predictor(job.predictor, context.store, space=proposer.tuner.space)
    while not context.stopping():
        try:
            _serve(proposer, predictor, bus, context)
        except LogRestarted:
            logger.info("the log starts anew")
        except Interrupted:
            return


def _serve(proposer: Proposer, predictor: AccuracyPredictor | None, bus: TunerBus, context: JobContext) -> None:
    """Answer one log from its start.

    Raises:
        LogRestarted: the log is another one now.
        Interrupted: told to stop while Redis was away.
    """
    reader = LogReader(bus, patiently=context.patiently)
    answers = Answers(proposer, made=context.patiently(bus.suggested))
    while not context.stopping():
        for suggestion in answers.to(reader.next()):
            _send(with_prediction(suggestion, predictor), bus, context)
            if context.stopping():
                return


def _send(suggestion: Suggestion, bus: TunerBus, context: JobContext) -> None:
    context.patiently(lambda: bus.suggest(suggestion))
    context.ring(context.uid)
    context.report(Progress(stage="Tune", done=suggestion.index + 1))
    logger.info(
        "suggested %s for index %d", suggestion.architecture or f"nothing ({suggestion.exhausted})", suggestion.index
    )
