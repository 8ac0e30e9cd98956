"""What is away, in a condition's reason and words."""

from redis.exceptions import ConnectionError, OutOfMemoryError

from pfpnas_api.artifacts import ArtifactError
from pfpnas_operator.kube.outages import lack_of
from pfpnas_operator.kube.redis_words import words_of
from pfpnas_operator.reconcile.waits import Wait


def test_redis_and_the_store_are_told_apart() -> None:
    for error in (ConnectionError("Connection refused"), OutOfMemoryError("OOM")):
        assert lack_of(error) == Wait(reason="RedisAway", message=words_of(error))
    away = ArtifactError("artifact store http://a:8080 is away for 5 s")
    assert lack_of(away) == Wait(reason="StoreAway", message=str(away))


def test_what_a_provider_says_of_one_request_is_left_out() -> None:
    one, other = (ArtifactError(f"can't read refs/a: no such container\nRequestId:{n}\nTime:{n}") for n in (1, 2))
    assert lack_of(one) == lack_of(other)
