"""The workload `tune`: suggestions for one experiment, until told to stop."""

import threading
from typing import NoReturn

from pfpnas_api.bus import TunerBus
from pfpnas_api.jobs import TuneJob
from pfpnas_api.messages import Progress, Suggestion
from pfpnas_workloads.prediction import AccuracyPredictor
from pfpnas_workloads.runtime import Interrupted, JobContext, logger
from pfpnas_workloads.tuning._base import Tuner
from pfpnas_workloads.tuning.answers import Answers
from pfpnas_workloads.tuning.later import Later
from pfpnas_workloads.tuning.log import LogReader, LogRestarted
from pfpnas_workloads.tuning.prediction import load_predictor, with_prediction
from pfpnas_workloads.tuning.propose import Proposer
from pfpnas_workloads.tuning.region import Region


def make_tuner(job: TuneJob, region: Region, *, public: AccuracyPredictor | None = None) -> Tuner:
    """The tuner that an experiment wishes for, with predictors to judge its draws where there are pseudo trials."""
    tuner = Later(job.tuner, region.space)
    if job.tuner.pseudo_trials == 0:
        return tuner
    from pfpnas_workloads.tuning.pseudo import PseudoTrials  # noqa: PLC0415 - predictors and their libraries
    from pfpnas_workloads.tuning.refit import Refits  # noqa: PLC0415 - the same

    refits = Refits(region.space, job.objective, job.prediction, public, job.tuner.seed)
    return PseudoTrials(tuner, region, refits, count=job.tuner.pseudo_trials)


def make_proposer(job: TuneJob, *, public: AccuracyPredictor | None = None) -> Proposer:
    """The experiment's tuner within the experiment's limits."""
    region = Region.of(job.search_space.space(classes=job.classes), job.objective)
    return Proposer(make_tuner(job, region, public=public), region)


def run_tune(job: TuneJob, context: JobContext) -> NoReturn:
    """Answer every ask of the experiment's log, until told to stop.

    Nothing is kept here: a new process, or Redis flushed and written again, leads to the same suggestions, and no
    index is answered twice.

    Raises:
        BadInput: no Redis was named, or the predictor is of no use here.
        ArtifactError: the predictor isn't in the store.
        Interrupted: told to stop. A service has no other end: whoever needs it starts it again.
    """
    bus = TunerBus(context.required_client(), experiment=job.experiment)
    space = job.search_space.space(classes=job.classes)
    public = load_predictor(job.predictor, context.store, space=space)
    proposer = make_proposer(job, public=public)
    # It is asked once the reference is built, and what is imported by then keeps no trial waiting.
    threading.Thread(target=proposer.tuner.prepare, name="prepare", daemon=True).start()
    while not context.stopping():
        try:
            _serve(job, proposer, public, bus=bus, context=context)
        except LogRestarted:
            logger.info("the log starts anew")
    raise Interrupted("told to stop")


def _serve(
    job: TuneJob, proposer: Proposer, public: AccuracyPredictor | None, *, bus: TunerBus, context: JobContext
) -> None:
    """Answer one log from its start.

    Raises:
        LogRestarted: the log is another one now.
        Interrupted: told to stop while Redis was away.
    """
    reader = LogReader(bus, patiently=context.patiently)
    answers = Answers(proposer, made=context.patiently(bus.suggested), checkpoint=job.checkpoint)
    while not context.stopping():
        for suggestion in answers.to(reader.next()):
            _send(with_prediction(suggestion, public), bus, context)
            if context.stopping():
                return


def _send(suggestion: Suggestion, bus: TunerBus, context: JobContext) -> None:
    context.patiently(lambda: bus.suggest(suggestion))
    context.ring(context.uid)
    context.report(Progress(stage="Tune", done=suggestion.index + 1))
    if suggestion.predictor is not None:
        tau = suggestion.predictor.kendall_tau
        logger.info("predictors fitted to %d trials, Kendall's tau %s", suggestion.predictor.labels, tau)
    logger.info(
        "suggested %s for index %d", suggestion.architecture or f"nothing ({suggestion.exhausted})", suggestion.index
    )
