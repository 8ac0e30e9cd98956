"""What is wrong with Redis, in the words that conditions carry."""

import ssl
from collections.abc import Iterator

from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError

from pfpnas_api.bus.connection import OUTAGE


def words_of(error: RedisError) -> str:
    """What is wrong and, where it won't pass by itself, the remedy; the same words for as long as it is.

    To the client's library a refused password and a refused certificate are lost connections: here they are none.
    """
    refused = _certificate_refused(error)
    if refused is not None:
        return (
            f"the operator does not trust Redis' certificate ({refused}): redis.caFile has to hold the authority that "
            "signed it, and it has to name the host of redis.url and be in date"
        )
    if isinstance(error, AuthenticationError | AuthorizationError):
        return (
            f"Redis does not let the operator in ({error}): redis.passwordFile has to hold the password of the user of "
            "redis.url; where the Secret was changed, restart Redis and the operator"
        )
    if isinstance(error, NoPermissionError):
        return (
            f"the operator's user of Redis lacks a right ({error}): restore its rights, or restart the release's Redis"
        )
    if isinstance(error, OUTAGE):
        return "Redis is away: nothing is begun until it is back; what is being trained or measured goes on"
    return f"Redis refuses what the search needs: {error}"


def _certificate_refused(error: BaseException) -> str | None:
    for one in _chain(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return one.verify_message
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__
