"""An agent that lies is refused and counted, what it replays is a replicate, and the search ends with true figures."""

import json
from pathlib import Path
from typing import Any

import pytest

from pfpnas_api.bus import AgentBus, OperatorBus, connect, keys
from pfpnas_api.bus.connection import FIELD, Client
from pfpnas_api.kinds.metrics import Accuracy, Latency
from pfpnas_api.messages import MAX_MESSAGE_BYTES, Heartbeat, MeasureResult, MeasureTask
from pfpnas_api.spaces import to_matrix
from pfpnas_operator.reconcile.rounding import DIGITS
from support.known_answer import KnownAnswer
from support.known_answer_run import expected_accuracy, known_place
from support.redis_server import redis_server
from support.run_process import Place, RunProcess

pytestmark = pytest.mark.timeout(600)

POOL = "bench"
KNOWN = KnownAnswer(noise=0)


class Liar:
    """An agent of the pool that measures nothing."""

    def __init__(self, client: Client) -> None:
        self._client, self._bus = client, AgentBus(client, pool=POOL, agent="liar")

    def say(self, payload: str | bytes) -> None:
        """Put bytes where its results are read."""
        self._client.xadd(keys.results(POOL, "liar"), {FIELD: payload})

    def unsaid(self) -> list[bytes]:
        """What of its words lies there still."""
        return [fields[FIELD] for _, fields in self._client.xrange(keys.results(POOL, "liar"))]

    def beat(self) -> None:
        """Be counted among the agents."""
        self._bus.beat(Heartbeat(state="Idle"))


def dream(task_id: str, **changes: Any) -> str:
    """A result that looks too good, as JSON."""
    result = MeasureResult(
        task_id=task_id,
        latency=Latency(p50=0.01, p90=0.02, mad=0.0, runs=64, reference=0.01),
        accuracy=Accuracy(value=1.0, samples=100),
    )
    return result.model_copy(update=changes).encode().decode()


def lies(task_id: str) -> dict[str, str]:
    """Answers to a task that can't be ones, by what is wrong with them."""
    good = json.loads(dream(task_id))
    latency, accuracy = good["latency"], good["accuracy"]
    return {
        "a latency that is no number": json.dumps({**good, "latency": {**latency, "p50": float("nan")}}),
        "an endless latency": json.dumps({**good, "latency": {**latency, "p90": float("inf")}}),
        "a negative latency": json.dumps({**good, "latency": {**latency, "p50": -1.0}}),
        "no time at all": json.dumps({**good, "latency": {**latency, "p50": 0.0}}),
        "more right than there is": json.dumps({**good, "accuracy": {**accuracy, "value": 1.01}}),
        "an accuracy that is no number": json.dumps({**good, "accuracy": {**accuracy, "value": float("nan")}}),
        "figures of nothing": json.dumps({"version": 1, "taskId": task_id}),
        "a field nobody knows": json.dumps({**good, "score": 1.0}),
        "a reason nobody knows": json.dumps({"version": 1, "taskId": task_id, "failure": "Tired"}),
        "another version": json.dumps({**good, "version": 2}),
        "no JSON": "0.01 ms",
        "too long": json.dumps({**good, "hostname": "x" * MAX_MESSAGE_BYTES}),
        "a tail faster than the median": dream(task_id, latency=Latency(p50=2.0, p90=1.0, mad=0.0, runs=64)),
        "an accuracy skipped without leave": dream(task_id, accuracy=None, accuracy_skipped=True),
        "a task that never was": dream("f" * 32),
    }


def waiting_task(client: Client, run: RunProcess, place: Place) -> MeasureTask:
    """The task of the first candidate, once it is on the road."""
    uid, bus = place.documents()[1].metadata.uid, OperatorBus(client)

    def look() -> MeasureTask | None:
        return next((task for _, task in bus.tasks(POOL) if task.experiment == uid), None)

    found: MeasureTask = run.until(look, "a task")
    return found


def status_reaches(run: RunProcess, place: Place, field: str, count: int) -> None:
    run.until(lambda: getattr(place.documents()[1].status, field) >= count, f"{field} to be {count}")


def anothers_task(client: Client) -> MeasureTask:
    """A task that another search has put on the same pool's road; the honest agent does not serve its namespace."""
    task = MeasureTask.identified(
        experiment="another", namespace="elsewhere", dataset="theirs", head="Fitted", backend="onnxruntime"
    )
    OperatorBus(client).publish_task(POOL, task)
    return task


def sent_answers(place: Place) -> list[Path]:
    """What the honest agent has measured and sent, oldest first."""
    return sorted((place.folder / "agent" / "journal" / "sent").glob("*.json"), key=lambda path: path.stat().st_mtime)


def assert_true_figures(place: Place) -> None:
    """Every trial's figures are those of the device, whatever the liar said."""
    for trial in place.trials().values():
        row = to_matrix(KNOWN.space, [KNOWN.space.parse(trial.spec.architecture)])
        metrics = trial.status.metrics
        assert metrics is not None
        assert metrics.latency_milliseconds is not None
        assert metrics.latency_milliseconds.p50 == pytest.approx(float(KNOWN.latencies(row)[0]))
        if not metrics.accuracy_skipped:
            assert metrics.accuracy == round(expected_accuracy(float(KNOWN.accuracies(row)[0])), DIGITS)


def test_lies_are_refused_and_counted_and_the_truth_is_found(tmp_path: Path) -> None:
    place = known_place(tmp_path, {"spec": {"budget": {"maxTrials": 3, "parallelTrials": 1}}})
    with redis_server() as server, place.run("--no-agent", "--redis", server.url) as run:
        client = connect(server.url)
        liar, task = Liar(client), waiting_task(client, run, place)
        liar.beat()
        for lie in lies(task.task_id).values():
            liar.say(lie)
        status_reaches(run, place, "refused_results", len(lies(task.task_id)))
        run.until(lambda: not liar.unsaid(), "the lies to be cleared away")
        run.until(lambda: "agent liar" in run.stdout, "the liar to be named")
        assert not any(trial.finished for trial in place.trials().values())
        foreign = anothers_task(client)
        liar.say(dream(foreign.task_id))
        with place.agent_elsewhere(server.url):
            run.until(lambda: any(trial.finished for trial in place.trials().values()), "a true answer")
            (first, *_) = run.until(lambda: sent_answers(place), "the agent to note what it sent")
            liar.say(first.read_bytes())
            liar.say(dream(first.stem))
            status_reaches(run, place, "replicates", 2)
            assert run.wait() == 0, run.stdout + run.stderr
        assert liar.unsaid() == [dream(foreign.task_id).encode()], "it is the other search's to judge"
    status = place.documents()[1].status
    assert (status.trials.created, status.trials.succeeded, status.trials.failed) == (3, 3, 0)
    assert (status.refused_results, status.replicates) == (len(lies("0" * 32)), 2)
    assert_true_figures(place)
