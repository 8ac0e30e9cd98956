"""What is away, as conditions say it: Redis or the artifact store, which are back by themselves, or refuse.

An artifact that is lost or damaged is no outage: who meets one gives up its trial or its Job, and nothing else.
"""

from typing import TypeAlias

from redis.exceptions import RedisError

from pfpnas_api.artifacts import ArtifactError
from pfpnas_operator.kube.redis_words import words_of
from pfpnas_operator.reconcile.away import REDIS_AWAY, STORE_AWAY
from pfpnas_operator.reconcile.waits import Wait

Away: TypeAlias = RedisError | ArtifactError
"""What Redis or the store says, or what is said for it."""


def lack_of(error: Away) -> Wait:
    """Reason and words; the same for as long as it is, so that a status is not written at every try."""
    if isinstance(error, RedisError):
        return Wait(reason=REDIS_AWAY, message=words_of(error))
    # What some providers add in further lines is the number of the request, and the time.
    return Wait(reason=STORE_AWAY, message=str(error).partition("\n")[0])
