"""The local agent: a process that knows only Redis, its own file, and nothing of this one."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from pfpnas_api.jobs import ENV_REDIS
from pfpnas_api.kinds import DATASET_CLASSES, NASExperiment, Supernet
from pfpnas_operator.local.folder import RunFolder
from pfpnas_operator.local.processes import last_line, spawn, stop

CHECK_SECONDS = 120
"""Reading a large private data set once."""

EXPORT_SECONDS = 600
"""Reading that data set, and fitting the head on all of it."""

RESTART_LIMIT = 5
"""An agent that dies so often will not get better."""

STEADY_SECONDS = 600.0
"""One that stays up so long is forgiven its earlier deaths."""


class AgentError(Exception):
    """The agent refused what it was asked; the message is its own."""


class PrivateDataUnreadable(AgentError):  # noqa: N818 - reads as the state it names
    """The agent knows the data set's alias, but its files are missing or damaged."""


def _argv(command: str, config: Path) -> list[str]:
    return [sys.executable, "-m", "pfpnas_agent", command, "--config", str(config)]


def check_target(config: Path, supernet: Supernet, experiment: NASExperiment, *, state: Path) -> None:
    """Ask the agent, before anything is started, whether it knows the experiment's pool, data set and backend.

    Redis is left out: the run brings its own, or tries the one that it is given.

    Args:
        config: The agent's own file.
        supernet: Says the classes, for head Supernet.
        experiment: Says the aliases.
        state: The agent's folder, where it keeps what it has decoded.

    Raises:
        PrivateDataUnreadable: it does, but the files of the data set can't be used.
        AgentError: it doesn't; the message names the alias or the file.
    """
    target = experiment.spec.target
    argv = [*_argv("check", config), "--json", "--offline", "--state", str(state)]
    argv += [
        "--namespace",
        experiment.metadata.namespace,
        "--pool",
        target.pool,
        "--dataset",
        target.dataset,
        "--backend",
        target.backend,
        "--head",
        target.head,
    ]
    classes = DATASET_CLASSES.get(supernet.spec.dataset.format)
    if classes is not None:
        argv += ["--classes", str(classes)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=CHECK_SECONDS, check=False)
    except subprocess.TimeoutExpired as e:
        raise AgentError(f"{config}: the agent's check took longer than {CHECK_SECONDS} s") from e
    if done.returncode != 0:
        said = _said(done) or f"the agent's check ended with {done.returncode}"
        kind = PrivateDataUnreadable if _only_data(done.stdout) else AgentError
        raise kind(said if str(config) in said else f"{config}: {said}")


def _only_data(report: str) -> bool:
    """Whether nothing but the data sets' files is at fault, by what `check --json` says."""
    try:
        said = json.loads(report)
        unreadable = [dataset["problem"] for dataset in said["datasets"] if "problem" in dataset]
        return bool(unreadable) and sorted(said["problems"]) == sorted(unreadable)
    except (ValueError, KeyError, TypeError):
        return False


def _said(done: "subprocess.CompletedProcess[str]") -> str:
    """What the agent complains of, without its own name before it."""
    return (done.stderr.strip() or done.stdout.strip()).removeprefix("pfpnas-agent: ")[-2000:]


class LocalAgent:
    """The agent's process: started, started again when it dies, stopped at the end."""

    def __init__(self, config: Path, folder: RunFolder, *, redis_url: str) -> None:
        self._config, self._folder, self._url = config, folder, redis_url
        self._log = folder.logs / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._starts, self._started = 0, 0.0

    def ensure(self) -> None:
        """Start it if it isn't running.

        Raises:
            AgentError: it died too often; the message holds its last line.
        """
        if self._process is not None and self._process.poll() is None:
            if time.monotonic() - self._started > STEADY_SECONDS:
                self._starts = 1
            return
        if self._starts > RESTART_LIMIT:
            raise AgentError(f"the agent died {self._starts} times: {last_line(self._log)} (log: {self._log})")
        argv = [*_argv("run", self._config), "--state", str(self._folder.agent_state)]
        # By the environment: the URL may hold a password, and everybody on the machine reads command lines.
        self._process = spawn(argv, log=self._log, environment={**os.environ, ENV_REDIS: self._url})
        self._starts, self._started = self._starts + 1, time.monotonic()

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            stop([self._process], seconds=10)

    def export(self, model: Path, *, dataset: str, out: Path) -> str | None:
        """Have the owner's side make the deployable model; why it could not, if so."""
        argv = [*_argv("export", self._config), "--state", str(self._folder.agent_state)]
        argv += ["--model", str(model), "--dataset", dataset, "--out", str(out)]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=EXPORT_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return f"the agent's export took longer than {EXPORT_SECONDS} s; the same command tries it again"
        return None if done.returncode == 0 else _said(done) or f"ended with {done.returncode}"
