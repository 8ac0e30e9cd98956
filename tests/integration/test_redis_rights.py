"""Users of a real Redis 7: what our own code does is allowed to each of them, and nothing else is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoPermissionError

from pfpnas_api.artifacts import ArtifactDamaged, FolderStore
from pfpnas_api.bus import AgentBus, OperatorBus, Received, TunerBus, WorkerBus, WorkloadBus, keys
from pfpnas_api.bus.connection import Client
from pfpnas_api.kinds.common import ArtifactRef
from pfpnas_api.messages import (
    CHUNK_BYTES,
    BuildRequest,
    Heartbeat,
    LogEntry,
    MeasureResult,
    MeasureTask,
    Progress,
    Suggestion,
)
from pfpnas_operator.access.rules import agent_rules, owner_rules
from pfpnas_operator.access.users import RedisUsers
from pfpnas_operator.kube.bells import BellReader
from pfpnas_operator.kube.present import Present
from pfpnas_operator.kube.roadside import RoadSweep
from support.guarded_redis import FixedKey, GuardedRedis, guarded_redis, need_selectors

POOL, OTHERS_POOL = "bench", "theirs"
UID, OTHERS_UID = "0b5516f0-0000-4000-8000-000000000001", "0b5516f0-0000-4000-8000-000000000002"
DIGEST = "ab" * 32
NOBODY = Present(pools={})
ALWAYS_OPEN = {"auth", "hello", "quit", "reset"}
"""Redis opens these to everybody, before and after a login."""


@pytest.fixture(scope="module")
def server() -> Iterator[GuardedRedis]:
    need_selectors()
    with guarded_redis() as running:
        users = RedisUsers(running.client("operator", "operators-own"), FixedKey())
        users.ensure("agent-lab", agent_rules(POOL, "lab"))
        users.ensure("owner-it", owner_rules(UID, [POOL]))
        users.ensure("owner-supernet", owner_rules(UID, []))
        yield running


@pytest.fixture(autouse=True)
def _empty(server: GuardedRedis) -> None:
    server.admin().flushall()
    server.admin().execute_command("ACL LOG RESET")


def as_user(server: GuardedRedis, user: str) -> Client:
    return server.client(user, "operators-own" if user == "operator" else f"password-of-{user}")


def task(number: int = 0) -> MeasureTask:
    return MeasureTask.identified(
        experiment=UID, namespace="default", dataset="d", head="Fitted", backend="b", repetition=number
    )


def build() -> BuildRequest:
    artifact = ArtifactRef(sha256=DIGEST, size=1)
    return BuildRequest(uid=f"{UID}-1", pool=POOL, architecture="a", checkpoint=artifact, calibration=artifact)


def public(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


def use_operator_bus(bus: OperatorBus) -> set[str]:
    """Call everything that the operator's bus has; the names of what was called."""
    bus.ensure_pool(POOL)
    bus.ensure_pool(POOL)
    bus.ensure_experiment(UID)
    bus.publish_task(POOL, task())
    bus.publish_build(UID, build())
    bus.append_log(UID, [LogEntry(event="Ask", count=1)])
    ((queued, _),) = bus.tasks(POOL)
    bus.delete_task(POOL, queued.entry)
    ((waiting, _),) = bus.builds(UID)
    bus.delete_build(UID, waiting.entry)
    bus.agents(POOL)
    bus.results(POOL)
    bus.delete_result(POOL, Received(agent="lab", entry="1-1", result=None))
    bus.delete_chunks(POOL, ArtifactRef(sha256=DIGEST, size=3))
    assert bus.log_length(UID) == len(bus.log(UID)) == 1
    bus.suggestions(UID)
    bus.progress(f"{UID}-tune")
    bus.progresses([f"{UID}-tune"])
    bus.wait_for_bell(after="0", block_milliseconds=1, pool=POOL)
    bus.forget(experiment=UID)
    bus.delete_answers(POOL, {"0" * 32})
    bus.withdraw(POOL, experiment=UID)
    return {
        *("ensure_pool", "ensure_experiment", "publish_task", "publish_build", "append_log", "tasks", "delete_task"),
        *("builds", "delete_build", "agents", "results", "delete_result", "log_length", "log", "suggestions"),
        *("delete_chunks", "progress", "progresses", "wait_for_bell", "forget"),
        *("delete_answers", "withdraw"),
    }


def use_agent_bus(bus: AgentBus) -> set[str]:
    """The same for an agent, whose pool has a task."""
    bus.beat(Heartbeat(state="Idle"))
    assert bus.held() == []
    claim = bus.next(block_milliseconds=1)
    assert claim is not None
    bus.answer(MeasureResult(task_id="0" * 32, failure="BadModel"))
    bus.acknowledge(claim)
    bus.fetch(model())
    return {"beat", "held", "next", "answer", "acknowledge", "fetch"}


def model() -> Any:
    from pfpnas_api.messages import ModelRef

    return ModelRef(sha256=DIGEST, size=3, chunks=1)


def test_the_operator_does_its_work_under_its_rules(server: GuardedRedis, tmp_path: Path) -> None:
    client = as_user(server, "operator")
    assert client.ping()
    assert use_operator_bus(OperatorBus(client)) == public(OperatorBus)
    store = FolderStore(tmp_path)
    WorkloadBus(client).push(POOL, store.put(b"abc"), store)
    WorkloadBus(client).push(POOL, store.put(b"abc"), store)
    assert server.refusals() == []


class Listener:
    """Hears bells, and has a pool."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def pools(self) -> set[str]:
        return {POOL}

    def rang(self, uid: str) -> None:
        self.heard.append(uid)

    def answered(self, pool: str) -> None:
        self.heard.append(pool)

    def redis_is(self, *, up: bool, why: str = "") -> None:
        assert up, why


def test_the_operator_hears_and_sweeps_under_its_rules(server: GuardedRedis) -> None:
    client, listener, admin = as_user(server, "operator"), Listener(), server.admin()
    bus = OperatorBus(client)
    bus.ensure_pool(POOL)
    bus.publish_task(POOL, task())
    bus.ensure_experiment(UID)
    admin.hset(keys.progress(f"{UID}-tune"), "m", "x")
    WorkloadBus(as_user(server, "owner-it")).ring(f"{UID}-tune")
    AgentBus(as_user(server, "agent-lab"), pool=POOL, agent="lab").answer(
        MeasureResult(task_id="0" * 32, failure="BadModel")
    )
    BellReader(client, listener).listen_once(block_milliseconds=1)
    assert sorted(listener.heard) == sorted([f"{UID}-tune", POOL])

    sweep = RoadSweep(client, bus)
    assert [sweep.sweep(NOBODY), sweep.sweep(NOBODY)] == [0, 4]
    assert (bus.tasks(POOL), bus.results(POOL)) == ([], [])
    assert not admin.exists(keys.builds(UID), keys.progress(f"{UID}-tune"))
    assert server.refusals() == []


@pytest.mark.parametrize("agent", ["lab", "lab.0f0f0f0f"])
def test_an_agent_does_its_work_under_its_rules(server: GuardedRedis, agent: str) -> None:
    operator = OperatorBus(as_user(server, "operator"))
    operator.ensure_pool(POOL)
    operator.publish_task(POOL, task())
    server.admin().set(keys.blob(POOL, DIGEST, 0), b"abc")
    client = as_user(server, "agent-lab")
    assert client.ping()
    assert use_agent_bus(AgentBus(client, pool=POOL, agent=agent)) == public(AgentBus)
    assert list(operator.agents(POOL)) == [agent]
    assert [one.agent for one in operator.results(POOL)] == [agent]
    assert server.refusals() == []


def test_the_jobs_of_an_owner_do_their_work_under_its_rules(server: GuardedRedis, tmp_path: Path) -> None:
    operator, client, store = (
        OperatorBus(as_user(server, "operator")),
        as_user(server, "owner-it"),
        FolderStore(tmp_path),
    )
    bus, artifact = WorkloadBus(client), store.put(b"abc")
    assert bus.report(f"{UID}-tune", Progress(stage="Tune"))
    assert bus.ring(f"{UID}-tune")
    bus.push(POOL, artifact, store)
    bus.push(POOL, artifact, store)
    damaged = store.put(b"x" * CHUNK_BYTES + b"y")
    store.path(damaged.sha256).write_bytes(b"x" * CHUNK_BYTES + b"z")
    with pytest.raises(ArtifactDamaged):
        bus.push(POOL, damaged, store)
    assert server.admin().exists(keys.blob(POOL, damaged.sha256, 0)) == 0

    worker = WorkerBus(client, experiment=UID, worker=f"{UID}-worker-0")
    assert worker.next(block_milliseconds=1) is None  # no group yet: it makes it
    operator.publish_build(UID, build())
    claim = worker.next(block_milliseconds=100)
    assert claim is not None
    worker.acknowledge(claim)

    operator.append_log(UID, [LogEntry(event="Ask", count=1)])
    server.admin().xadd(keys.log(UID), {"m": "nonsense"})
    tuner = TunerBus(client, experiment=UID)
    assert len(tuner.read(block_milliseconds=1)) == tuner.log_length() == 1
    tuner.suggest(Suggestion(index=0, architecture="a"))
    assert list(tuner.suggested()) == [0]
    assert server.refusals() == []


def test_the_jobs_of_a_supernet_report_and_ring(server: GuardedRedis) -> None:
    bus = WorkloadBus(as_user(server, "owner-supernet"))
    assert bus.report(f"{UID}-pretrain", Progress(stage="Pretrain"))
    assert bus.ring(f"{UID}-pretrain")


AGENTS_REFUSED = [
    ("xreadgroup", "group", "agents", "lab", "streams", keys.tasks(OTHERS_POOL), ">"),
    ("xadd", keys.tasks(POOL), "*", "m", "a task of one's own"),
    ("xdel", keys.tasks(POOL), "1-1"),
    ("xtrim", keys.tasks(POOL), "maxlen", "0"),
    ("xgroup", "destroy", keys.tasks(POOL), "agents"),
    ("del", keys.tasks(POOL)),
    ("xadd", keys.results(POOL, "other"), "*", "m", "x"),
    ("xadd", keys.results(POOL, "labour"), "*", "m", "x"),
    ("xrange", keys.results(POOL, "other"), "-", "+"),
    ("xrange", keys.results(POOL, "lab"), "-", "+"),
    ("set", keys.heartbeat(POOL, "other"), "x"),
    ("set", keys.heartbeat(POOL, "lab"), "x", "get"),
    ("get", keys.heartbeat(POOL, "other")),
    ("set", keys.blob(POOL, DIGEST, 0), "another model"),
    ("get", keys.blob(OTHERS_POOL, DIGEST, 0)),
    ("xrange", keys.log(UID), "-", "+"),
    ("xread", "streams", keys.EVENTS, "0"),
    ("xadd", keys.EVENTS, "*", "m", "x"),
    ("keys", "*"),
    ("scan", "0"),
    ("flushall",),
    ("config", "get", "*"),
    ("eval", "return 1", "0"),
    ("acl", "list"),
    ("acl", "setuser", "agent-lab", "+@all"),
    ("client", "list"),
    ("monitor",),
    ("info",),
    ("subscribe", "x"),
]

OWNERS_REFUSED = [
    ("xrange", keys.log(OTHERS_UID), "-", "+"),
    ("xread", "streams", keys.log(OTHERS_UID), "0"),
    ("xadd", keys.log(UID), "*", "m", "x"),
    ("xadd", keys.suggestions(OTHERS_UID), "*", "m", "x"),
    ("xadd", keys.builds(UID), "*", "m", "x"),
    ("xreadgroup", "group", "workers", "w", "streams", keys.builds(OTHERS_UID), ">"),
    ("hset", keys.progress(f"{OTHERS_UID}-tune"), "m", "x"),
    ("hset", keys.progress(UID + "0-tune"), "m", "x"),
    ("xread", "streams", keys.EVENTS, "0"),
    ("del", keys.EVENTS),
    ("set", keys.blob(OTHERS_POOL, DIGEST, 0), "x"),
    ("get", keys.blob(POOL, DIGEST, 0)),
    ("xadd", keys.tasks(POOL), "*", "m", "x"),
    ("xadd", keys.results(POOL, "lab"), "*", "m", "x"),
    ("set", keys.heartbeat(POOL, "lab"), "x"),
    ("keys", "*"),
    ("flushdb",),
    ("eval", "return 1", "0"),
    ("acl", "whoami"),
]

OPERATORS_REFUSED = [
    ("set", "somebody-elses", "x"),
    ("keys", "*"),
    ("flushall",),
    ("config", "set", "dir", "/"),
    ("eval", "return 1", "0"),
    ("module", "list"),
    ("shutdown",),
    ("acl", "list"),
]

REFUSED = [
    *(("agent-lab", command) for command in AGENTS_REFUSED),
    *(("owner-it", command) for command in OWNERS_REFUSED),
    *(("operator", command) for command in OPERATORS_REFUSED),
    ("owner-supernet", ("set", keys.blob(POOL, DIGEST, 0), "x")),
]


@pytest.mark.parametrize(("user", "command"), REFUSED, ids=[f"{user}-{' '.join(c[:3])}" for user, c in REFUSED])
def test_everything_else_is_refused(server: GuardedRedis, user: str, command: tuple[str, ...]) -> None:
    with pytest.raises(NoPermissionError):
        as_user(server, user).execute_command(*command)


@pytest.mark.parametrize(
    ("user", "commands"),
    [
        ("agent-lab", {"ping", "xreadgroup", "xack", "xadd", "set", "get"}),
        (
            "owner-it",
            {
                *("hset", "xadd", "xreadgroup", "xack", "xgroup|create", "xread", "xlen", "xdel", "xrange"),
                *("set", "expire"),
            },
        ),
        ("owner-supernet", {"hset", "xadd", "xreadgroup", "xack", "xgroup|create", "xread", "xlen", "xdel", "xrange"}),
    ],
)
def test_of_all_commands_of_the_server_only_these_are_open(server: GuardedRedis, user: str, commands: set[str]) -> None:
    admin = server.admin()
    known = {name.decode() for name in admin.execute_command("COMMAND LIST")}
    known -= {name.partition("|")[0] for name in known if "|" in name}  # `acl` alone does nothing
    assert len(known) > 200
    assert {name for name in known if _open(admin, user, name)} == commands | ALWAYS_OPEN


def _open(admin: Client, user: str, name: str) -> bool:
    words = name.split("|")
    ((_, arity, *_),) = admin.execute_command("COMMAND INFO", name)
    given = words + ["x"] * (abs(arity) - len(words))
    said = admin.execute_command("ACL DRYRUN", user, *given)
    return b"permissions to run the" not in said


def test_nobody_gets_in_without_a_name(server: GuardedRedis) -> None:
    from redis.exceptions import AuthenticationError

    from pfpnas_api.bus import connect

    with pytest.raises(AuthenticationError):
        connect(server.url).ping()
