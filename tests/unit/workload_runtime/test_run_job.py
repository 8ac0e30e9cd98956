"""How a workload starts and ends: its document, its manifest, its exit code."""

import json
import os
import signal
from pathlib import Path

import pytest

from pfpnas_api.artifacts import ArtifactError, FolderStore
from pfpnas_api.jobs import ENV_ARTIFACTS, ENV_JOB, ENV_REDIS, Manifest, TrialWorkerJob, TuneJob
from pfpnas_workloads.runtime import (
    BadArchitecture,
    BadInput,
    Interrupted,
    JobContext,
    open_context,
    read_job,
    run_job,
)

JOB = TrialWorkerJob(uid="job-1", experiment="e-1")
DONE = Manifest(uid="job-1", outcome="Done", figures={"seconds": 1.0})
NOWHERE = "redis://127.0.0.1:1/0"
"""Nothing listens on port 1."""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {ENV_ARTIFACTS: str(tmp_path)}


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def raising(error: BaseException) -> object:
    def entry(job: TrialWorkerJob, context: JobContext) -> Manifest:
        raise error

    return entry


def test_the_manifest_is_kept_and_the_exit_code_is_0(environ: dict[str, str], store: FolderStore) -> None:
    assert run_job(JOB, lambda job, context: DONE, environ=environ) == 0
    assert store.read_manifest("job-1") == DONE


def test_a_job_whose_manifest_is_there_is_not_run_again(environ: dict[str, str], store: FolderStore) -> None:
    store.write_manifest(DONE)
    assert run_job(JOB, raising(AssertionError("ran")), environ=environ) == 0


def test_a_job_that_was_found_at_fault_before_ends_with_42_again(environ: dict[str, str], store: FolderStore) -> None:
    """Of several processes of one job the first may have said so before the second looks."""
    store.write_manifest(Manifest(uid="job-1", outcome="BadInput", message="wrong data"))
    assert run_job(JOB, raising(AssertionError("ran")), environ=environ) == 42


def test_what_is_published_is_published_again_when_the_manifest_was_there(
    environ: dict[str, str], store: FolderStore
) -> None:
    published: list[str] = []

    def publish(job: TrialWorkerJob, context: JobContext) -> None:
        assert store.read_manifest(job.uid) == DONE, "the manifest comes first"
        published.append(job.uid)

    for _ in range(2):
        assert run_job(JOB, lambda job, context: DONE, publish=publish, environ=environ) == 0
    assert published == ["job-1", "job-1"]


def test_a_process_that_does_not_lead_leaves_no_manifest(environ: dict[str, str], store: FolderStore) -> None:
    assert run_job(JOB, lambda job, context: None, environ=environ) == 0
    assert store.read_manifest("job-1") is None


@pytest.mark.parametrize(
    ("error", "outcome"), [(BadInput("wrong data"), "BadInput"), (BadArchitecture("wrong net"), "BadArchitecture")]
)
def test_bad_input_stands_in_the_manifest_and_ends_with_42(
    error: BadInput, outcome: str, environ: dict[str, str], store: FolderStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_job(JOB, raising(error), environ=environ) == 42
    assert store.read_manifest("job-1") == Manifest.model_validate(
        {"uid": "job-1", "outcome": outcome, "message": error.message}
    )
    assert capsys.readouterr().err == f"pfpnas-workloads: {error.message}\n"


def test_a_long_message_is_cut_to_what_a_manifest_holds(environ: dict[str, str], store: FolderStore) -> None:
    assert run_job(JOB, raising(BadInput("x" * 5000)), environ=environ) == 42
    manifest = store.read_manifest("job-1")
    assert manifest is not None
    assert len(manifest.message) == 2000


def test_an_interrupted_job_leaves_no_manifest_and_ends_with_75(environ: dict[str, str], store: FolderStore) -> None:
    assert run_job(JOB, raising(Interrupted("at step 3")), environ=environ) == 75
    assert store.read_manifest("job-1") is None


def test_a_store_that_cannot_be_written_is_one_readable_line(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_job(JOB, raising(ArtifactError("can't write x: No space left on device")), environ=environ) == 1
    assert capsys.readouterr().err == "pfpnas-workloads: can't write x: No space left on device\n"


def test_an_unexpected_error_is_one_line_of_json_with_its_traceback(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_job(JOB, raising(ZeroDivisionError("by zero")), environ=environ) == 1
    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert (record["job"], record["level"], record["message"]) == ("job-1", "error", "failed: by zero")
    assert "ZeroDivisionError" in record["traceback"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_tells_the_job_to_stop_and_leaves_the_process_as_it_was(
    number: signal.Signals, environ: dict[str, str]
) -> None:
    before, seen = signal.getsignal(number), []

    def entry(job: TrialWorkerJob, context: JobContext) -> None:
        seen.append(context.stopping())
        os.kill(os.getpid(), number)
        context.wait(30)  # ends at once
        seen.append(context.stopping())

    assert run_job(JOB, entry, environ=environ) == 0
    assert seen == [False, True]
    assert signal.getsignal(number) is before


def test_without_a_store_the_message_names_the_variable(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_job(JOB, lambda job, context: DONE, environ={}) == 42
    assert ENV_ARTIFACTS in capsys.readouterr().err


def test_a_redis_url_that_cannot_be_read_is_named(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_job(JOB, lambda job, context: DONE, environ=environ | {ENV_REDIS: "nonsense"}) == 42
    assert ENV_REDIS in capsys.readouterr().err


def test_the_document_comes_from_the_environment_or_from_a_file(tmp_path: Path) -> None:
    text = JOB.model_dump_json(by_alias=True)
    (tmp_path / "job.json").write_text(text)
    assert read_job(TrialWorkerJob, environ={ENV_JOB: text}) == JOB
    assert read_job(TrialWorkerJob, file=tmp_path / "job.json", environ={}) == JOB


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, ENV_JOB),
        ({ENV_JOB: "{"}, "JSON"),
        ({ENV_JOB: '{"uid": "a", "experiment": "b", "classes": 1, "objective": {}, "tuner": {}}'}, "searchSpace"),
    ],
)
def test_a_bad_document_is_named_by_place_and_field(environ: dict[str, str], named: str) -> None:
    with pytest.raises(BadInput, match=named):
        read_job(TuneJob, environ=environ)


def test_a_job_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nothing\.json: No such file"):
        read_job(TuneJob, file=tmp_path / "nothing.json", environ={})


def test_a_job_that_needs_redis_says_so(environ: dict[str, str]) -> None:
    with pytest.raises(BadInput, match=ENV_REDIS):
        open_context("job-1", environ=environ).required_client()


def test_waiting_for_redis_ends_when_told_to_stop(environ: dict[str, str]) -> None:
    context = open_context("job-1", environ=environ | {ENV_REDIS: NOWHERE})
    context.stop()
    with pytest.raises(Interrupted):
        context.patiently(context.required_client().ping)
