"""Names of the Redis keys. `{P}` = pool, `{E}` = experiment uid; hash tags keep one owner's keys on one shard."""

PREFIX = "pfp:v1"
EVENTS = f"{PREFIX}:events"
AGENTS_GROUP = "agents"
WORKERS_GROUP = "workers"


def tasks(pool: str) -> str:
    """Stream: operator → agents of the pool."""
    return f"{PREFIX}:{{{pool}}}:tasks"


def results(pool: str, agent: str) -> str:
    """Stream: one agent → operator. One each, so that no agent can erase another's."""
    return f"{PREFIX}:{{{pool}}}:results:{agent}"


def heartbeat(pool: str, agent: str) -> str:
    """String with expiry."""
    return f"{PREFIX}:{{{pool}}}:heartbeat:{agent}"


def blob(pool: str, digest: str, chunk: int) -> str:
    """One chunk of a candidate, with expiry."""
    return f"{PREFIX}:{{{pool}}}:blob:{digest}:{chunk}"


def builds(experiment: str) -> str:
    """Stream: operator → trial workers of the experiment."""
    return f"{PREFIX}:{{{experiment}}}:builds"


def log(experiment: str) -> str:
    """Stream: operator → tuner; replays from its start."""
    return f"{PREFIX}:{{{experiment}}}:log"


def suggestions(experiment: str) -> str:
    """Stream: tuner → operator."""
    return f"{PREFIX}:{{{experiment}}}:suggestions"


def progress(job: str) -> str:
    """Hash: workload → operator."""
    return f"{PREFIX}:progress:{job}"


def blobs(pool: str) -> str:
    """Glob that every chunk of a pool's candidates matches, and nothing else."""
    return f"{PREFIX}:{{{pool}}}:blob:*"
