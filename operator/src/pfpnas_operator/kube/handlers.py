"""What kopf calls: each handler puts a value away, or wakes who cares.

Only Jobs are an index: of Trials, of which there may be ten thousand, one would hold a value each for ever, beside what
their keepers hold of them, packed; so only the news of them is handed on.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import kopf

from pfpnas_api.kinds import GROUP, VERSION
from pfpnas_operator.kube import settings as our
from pfpnas_operator.kube.api import ApiError, slim
from pfpnas_operator.kube.bells import BellReader
from pfpnas_operator.kube.config import ConfigError
from pfpnas_operator.kube.housekeeping import Housekeeper
from pfpnas_operator.kube.hub import Hub
from pfpnas_operator.kube.jobviews import JobRecord, owner_of, record_of
from pfpnas_operator.kube.owners import LABEL_MANAGED, MANAGER
from pfpnas_operator.kube.starting import open_parts

OURS = {LABEL_MANAGED: MANAGER}


@kopf.on.startup()
async def start(settings: kopf.OperatorSettings, memo: kopf.Memo, **known: Any) -> None:
    """Settings, connections, and whoever waits for events."""
    our.apply(settings)
    our.quieten()
    loop = asyncio.get_running_loop()
    threads = ThreadPoolExecutor(our.THREADS, thread_name_prefix="cycles")
    try:
        parts = await loop.run_in_executor(threads, open_parts)
    except (ConfigError, ApiError) as e:
        raise kopf.PermanentError(str(e)) from e
    memo.hub = Hub(parts, jobs=known["jobs_by_owner"], threads=threads, loop=loop)
    memo.bells = BellReader(parts.redis, memo.hub, agents=parts.bus.agent_keys)
    memo.housekeeper = Housekeeper(memo.hub, threads=threads, loop=loop)
    memo.bells.start()
    memo.housekeeper.start()


@kopf.on.cleanup()
async def stop(memo: kopf.Memo, **_: Any) -> None:
    """Nothing new is begun; a cycle under way ends by itself, and any of its steps is safe to repeat."""
    memo.bells.stop()
    memo.housekeeper.stop()
    memo.hub.stop()


@kopf.on.login()
def login(**known: Any) -> kopf.ConnectionInfo | None:
    """The service account, or (outside a cluster) the kubeconfig's current context."""
    return kopf.login_via_client(**known)


@kopf.on.probe(id="watch")
async def probe_watch(memo: kopf.Memo, **_: Any) -> str:
    """Whether the watch tells what there is; that this is answered at all says that the event loop lives."""
    watch: str = memo.housekeeper.watch_state()
    return watch


@kopf.index("batch", "v1", "jobs", labels=OURS)
def jobs_by_owner(body: kopf.Body, **_: Any) -> dict[str, JobRecord]:
    """Jobs by the uid of who owns them."""
    owner = owner_of(body)
    return {owner: record_of(body)} if owner else {}


@kopf.on.event("batch", "v1", "jobs", labels=OURS)
async def job_seen(body: kopf.Body, memo: kopf.Memo, **_: Any) -> None:
    """A Job changed."""
    memo.hub.seen_job(owner_of(body))


@kopf.on.event(GROUP, VERSION, "supernets")
async def supernet_seen(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A Supernet changed."""
    memo.hub.seen_supernet(slim(event["object"]), deleted=event["type"] == "DELETED")


@kopf.on.event(GROUP, VERSION, "nasexperiments")
async def experiment_seen(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A NASExperiment changed."""
    memo.hub.seen_experiment(slim(event["object"]), deleted=event["type"] == "DELETED")


@kopf.on.event(GROUP, VERSION, "trials")
async def trial_seen(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A Trial changed."""
    memo.hub.seen_trial(slim(event["object"]), deleted=event["type"] == "DELETED")
