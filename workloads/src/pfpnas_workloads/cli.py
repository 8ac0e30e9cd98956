"""The command line of the workloads: `pfpnas-workloads`, or `python -m pfpnas_workloads`.

What a command needs is imported inside it: the tuner must start without torch.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from pfpnas_api.jobs import EXIT_BAD_INPUT, EXIT_RETRY, FitPredictorJob, PretrainJob, TrialJob, TrialWorkerJob, TuneJob
from pfpnas_workloads.runtime import BadInput, Entry, Job, JobContext, complain, read_job, run_job
from pfpnas_workloads.stopping import leave_when_told

HELP = """
Run one workload of PFP-NAS: a process of its own, the same in a pod as on one machine.

The operator starts these; to run one by hand, give it what the operator would:

  * the job, a JSON document: in the environment variable PFPNAS_JOB, or in a file named by --job

  * PFPNAS_ARTIFACTS: the artifact store: a folder, http(s)://… (with PFPNAS_ARTIFACTS_TOKEN), or s3://bucket/prefix

  * PFPNAS_REDIS_URL: Redis, such as redis://localhost:6379/0 (pretrain and fit-predictor can do without)

The result is the manifest refs/UID.json in the artifact store. A job whose manifest is there is done already.

Exit codes: 0 done, 42 the document, the data or the architecture is at fault (the manifest says what),
75 told to stop (run it again, it goes on where it stopped), 1 anything else (the log says what).
"""

app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

JobFile = Annotated[
    Path | None,
    typer.Option("--job", metavar="FILE", help="File with the job's JSON document. [default: $PFPNAS_JOB]"),
]


@app.command()
def pretrain(job: JobFile = None) -> None:
    """Train the supernet, from its last checkpoint on if there is one; under torchrun together with the other ranks.

    The document: {"uid": …, "spec": the spec of a Supernet}. Leaves the artifacts checkpoint and calibration.
    """
    from pfpnas_workloads.training.pretrain import forget_training, run_pretrain  # noqa: PLC0415 - torch

    _run(PretrainJob, run_pretrain, job, forget_training)


@app.command()
def fit_predictor(job: JobFile = None) -> None:
    """Fit the public accuracy predictor on subnets of a trained supernet.

    The document: {"uid", "spec", "checkpoint", "calibration"}, the last two as in the manifest of pretrain. Leaves the
    artifacts predictor and samples.
    """
    from pfpnas_workloads.prediction.fit import forget_samples, run_fit_predictor  # noqa: PLC0415 - torch

    _run(FitPredictorJob, run_fit_predictor, job, forget_samples)


@app.command()
def tune(job: JobFile = None) -> None:
    """Suggest architectures for one experiment, until told to stop (SIGTERM).

    The document: {"uid", "experiment", "searchSpace", "classes", "objective", "tuner"}. Reads the experiment's log in
    Redis from its start and answers what has no suggestion yet; it may be killed and started again at any time.
    """
    from pfpnas_workloads.tuning.workload import run_tune  # noqa: PLC0415 - hyperopt

    _run(TuneJob, run_tune, job)


@app.command()
def trial(
    job: JobFile = None,
    serve: Annotated[
        bool,
        typer.Option(
            "--serve/--trial", help="Serve the builds of an experiment until told to stop, or build one candidate."
        ),
    ] = False,
) -> None:
    """Build candidates: slice, recalibrate, write ONNX, and push it to where the agents find it.

    --trial: the document is a build request, {"uid", "experiment", "pool", "architecture", "checkpoint",
    "calibration"}. Leaves the artifact model.

    --serve: the document is {"uid", "experiment"}. Takes requests from Redis, those it held before a restart first.
    """
    from pfpnas_workloads.trial import publish_trial, run_trial, run_worker  # noqa: PLC0415 - torch

    if serve:
        _run(TrialWorkerJob, run_worker, job)
    else:
        _run(TrialJob, run_trial, job, publish_trial)


def _run(
    kind: type[Job], entry: Entry[Job], file: Path | None, publish: Callable[[Job, JobContext], None] | None = None
) -> NoReturn:
    try:
        job = read_job(kind, file=file)
    except BadInput as e:
        complain(e.message)
        raise SystemExit(EXIT_BAD_INPUT) from None
    raise SystemExit(run_job(job, entry, publish=publish) if publish else run_job(job, entry))


def main() -> None:
    """Run the command line."""
    # A job takes the signals over once it has begun, which takes the seconds that its libraries need.
    leave_when_told(EXIT_RETRY)
    app()
