"""The workloads' command line: it teaches, and says what is wrong in one line."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pfpnas_api.artifacts import FolderStore
from pfpnas_api.jobs import ENV_ARTIFACTS, ENV_JOB, ENV_REDIS, TrialWorkerJob
from pfpnas_workloads.cli import app

COMMANDS = ("pretrain", "fit-predictor", "tune", "trial")


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pfpnas_workloads", *arguments],
        env={"PATH": "", **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_names_the_commands_the_variables_and_the_exit_codes() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert all(word in shown for word in (*COMMANDS, ENV_JOB, ENV_ARTIFACTS, ENV_REDIS, "42", "75"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_its_document_holds(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"]).output
    assert '"uid"' in shown
    assert "--job" in shown


def test_without_a_job_it_says_where_one_is_looked_for() -> None:
    done = run("tune")
    assert done.returncode == 42
    assert done.stderr == "pfpnas-workloads: no job: give --job FILE, or the document in PFPNAS_JOB\n"


def test_a_wrong_document_is_named_by_file_and_field(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"uid": "t", "experiment": "e", "colour": 1}')
    done = run("tune", "--job", str(tmp_path / "job.json"))
    assert done.returncode == 42
    assert len(done.stderr.splitlines()) == 1
    assert all(word in done.stderr for word in ("job.json", "searchSpace"))


def test_a_worker_without_redis_says_which_variable_is_missing(tmp_path: Path) -> None:
    job = TrialWorkerJob(uid="w-1", experiment="e-1").model_dump_json(by_alias=True)
    done = run("trial", "--serve", **{ENV_JOB: job, ENV_ARTIFACTS: str(tmp_path)})
    assert done.returncode == 42
    assert ENV_REDIS in done.stderr
    manifest = FolderStore(tmp_path).read_manifest("w-1")
    assert manifest is not None
    assert manifest.outcome == "BadInput"


def test_a_store_that_cannot_be_written_is_one_line_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file in the place of the folder")
    job = TrialWorkerJob(uid="w-1", experiment="e-1").model_dump_json(by_alias=True)
    done = run("trial", "--serve", **{ENV_JOB: job, ENV_ARTIFACTS: str(tmp_path / "store")})
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
