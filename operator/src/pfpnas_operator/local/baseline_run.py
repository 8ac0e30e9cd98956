"""`pfpnas run --baseline`: the search, then another one to compare it with, then the report with both."""

from pathlib import Path

from pfpnas_api.artifacts import ArtifactError
from pfpnas_operator.documents import DocumentError
from pfpnas_operator.local.agent import AgentError
from pfpnas_operator.local.baseline import RANDOM, begin_random, given_baseline, measurements
from pfpnas_operator.local.ending import DONE, FAILED, INFEASIBLE
from pfpnas_operator.local.folder import FolderError, RunFolder
from pfpnas_operator.local.parts import PartMissing
from pfpnas_operator.local.preflight import DataMissing
from pfpnas_operator.local.records import Records
from pfpnas_operator.local.results import report_of, write_report
from pfpnas_operator.local.run import RunRequest, Voice, folder_of, perform, wish
from pfpnas_operator.local.server import RedisUnavailable
from pfpnas_operator.report import comparison_lines

ENDED = (DONE, INFEASIBLE)
"""Exit codes of a search that has a result."""

_REFUSALS = (AgentError, ArtifactError, DataMissing, DocumentError, FolderError, PartMissing)

UNTRAINED = (
    "--baseline {path}: whether it can be compared is only known once the supernet is trained here, since both need "
    "the same checkpoint. If it turns out to be another one, the search keeps its result, and the run ends with code 1."
)
"""Said before a run that trains its own weights."""


def perform_beside(request: RunRequest, voice: Voice, *, baseline: str) -> int:
    """Run the search, then the baseline (`random`, or the folder of a run), and return the exit code.

    That is the search's own, unless it is the baseline that went wrong.

    Raises:
        As `perform`; a baseline that can't be compared is a FolderError, before anything is started.
    """
    wanted = wish(request)
    folder, config = folder_of(request, wanted.experiments[0]), wanted.agent_config_path
    given = None if baseline == RANDOM else Path(baseline)
    if given is not None:
        supernet = Records.of(*folder.read()).supernet if folder.has_documents() else wanted.supernets[0]
        given_baseline(given, supernet, wanted.experiments[0], folder=folder)
        if supernet.status.checkpoint is None:
            voice.complain(UNTRAINED.format(path=given), style="yellow")
    code = perform(request, voice)
    if code not in ENDED:
        return code
    try:
        with folder.lock():
            return _beside(request, folder, config, voice, given=given) or code
    except (*_REFUSALS, RedisUnavailable, OSError) as e:
        voice.complain(f"{e}\nThe search itself has ended; the same command makes its baseline once this is mended.")
        return FAILED


def _beside(request: RunRequest, folder: RunFolder, config: Path | None, voice: Voice, *, given: Path | None) -> int:
    """Exit code of the baseline, 0 where both have a result."""
    records = Records.of(*folder.read())
    other, code = None, DONE
    if given is not None:
        other = given_baseline(given, records.supernet, records.experiment, folder=folder)
    elif measurements(records):
        code = _random(request, folder, records, config, voice)
    write_report(folder, records, baseline=other)
    for line in comparison_lines(report_of(folder, records, baseline=other)):
        voice.say(line)
    voice.say(f"report with its baseline: {folder.root / 'report.html'}")
    return DONE if code in ENDED else code


def _random(request: RunRequest, folder: RunFolder, records: Records, config: Path | None, voice: Voice) -> int:
    """Random search by the normal path, in a folder of its own that takes up the documents laid there."""
    place, spent = begin_random(folder, records), measurements(records)
    voice.say(f"\nThe baseline: random search with the same {spent} measurements")
    documents = (place.root / "supernet.yaml", place.root / "experiment.yaml")
    return perform(
        RunRequest(
            paths=(*documents, config) if config else documents,
            out=place.root,
            experiment=None,
            redis_url=request.redis_url,
            local_agent=request.local_agent,
            overrides=(f"experiment.budget.maxTrials={spent}",),
        ),
        voice,
    )
