"""The operator's parts, wired together from its configuration."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from redis.exceptions import RedisError

from pfpnas_api.artifacts import ArtifactError, open_store
from pfpnas_api.bus import AgentKeys, BusError, OperatorBus, WorkloadBus
from pfpnas_api.bus import connect as connect_redis
from pfpnas_operator.access.users import RedisUsers, UsersRefused
from pfpnas_operator.kube import metrics
from pfpnas_operator.kube.announcing import Announcer
from pfpnas_operator.kube.api import OURS, Api, ApiError, connect
from pfpnas_operator.kube.config import Config, ConfigError, read_config
from pfpnas_operator.kube.namespaces import leave_out
from pfpnas_operator.kube.parts import Parts
from pfpnas_operator.kube.rights import Rights, operator_url, see_users
from pfpnas_operator.store.tokens import OPERATOR, BadKey, Key

logger = logging.getLogger(__name__)

USERS_OFF: Final = (
    "redis.users is Off: the pods of every namespace get the operator's own password of Redis, with which they may "
    "read and change everything in it"
)

CALLS: Final = 12
"""Requests side by side: as many as the default of parallel trials, and no more than an API server likes."""

STORE_SECONDS: Final = 5.0
"""How long a call waits for a store that is away. Keepers and sweeps try again by themselves, and say so: a Job's
minute would only keep their threads from who needs no store, and from whoever wants to suspend something."""

AGENTS_SECONDS: Final = 1.0
"""How long a look for agents is good for: it costs Redis more than all else that a cycle asks, and every cycle asks."""


def open_parts() -> Parts:
    """Serve the metrics, find the API server, read the configuration, and connect everything that it names.

    Raises:
        ConfigError: something of it can't be used.
        ApiError: the API server refuses.
    """
    try:
        metrics.serve()
    except OSError as e:
        raise ConfigError(f"port {metrics.PORT} can't be served: {e}") from e
    api = connect()
    see_kinds(api)
    leave_out(api)
    return make_parts(read_config(), api)


def make_parts(config: Config, api: Api) -> Parts:
    """Connect everything; Redis and the store may still be away.

    Raises:
        ConfigError: what the configuration names can't be used.
    """
    try:
        key = Key.read(config.key_file)
        store = open_store(config.artifacts.address, key.token(OPERATOR), patience_seconds=STORE_SECONDS)
        client = connect_redis(operator_url(config))
    except (BadKey, ArtifactError, BusError) as e:
        raise ConfigError(str(e)) from e
    users = RedisUsers(client, key)
    _settle_users(config, users)
    return Parts(
        config=config,
        api=api,
        redis=client,
        bus=OperatorBus(client, agents=AgentKeys(client, good_for_seconds=AGENTS_SECONDS)),
        blobs=WorkloadBus(client),
        store=store,
        users=users,
        rights=Rights(api=api, config=config, key=key, users=users, store=store),
        announcer=Announcer(api),
        calls=ThreadPoolExecutor(CALLS, thread_name_prefix="calls"),
    )


def _settle_users(config: Config, users: RedisUsers) -> None:
    """Say whether searches are separated in Redis; a Redis that is away is asked when it is there.

    Raises:
        ConfigError: they are to be, and Redis can't.
    """
    if config.redis.users == "Off":
        metrics.REDIS_USERS.set(0)
        return logger.warning("%s", USERS_OFF)
    try:
        see_users(users)
    except UsersRefused as e:
        raise ConfigError(str(e)) from e
    except RedisError as e:
        logger.warning("Redis is away: %s", e)


def see_kinds(api: Api) -> None:
    """See that the three kinds are installed: watching for what is not there would be silent for ever.

    Raises:
        ConfigError: they are not, or the API server does not answer.
    """
    try:
        known = api.knows(OURS)
    except ApiError as e:
        raise ConfigError(f"the Kubernetes API can't be used: {e}") from e
    if not known:
        raise ConfigError("the kinds of pfpnas.io are not installed: helm install pfpnas-crds charts/pfpnas-crds")
