"""Which errors of the API server say that a new object isn't taken, and which that it can't be asked now."""

import pytest

from pfpnas_operator.kube.api import ApiAway, ApiError, Terminating, is_refusal


@pytest.mark.parametrize(
    "error",
    [
        ApiError(403, "Forbidden", "exceeded quota: trials"),
        ApiError(422, "Invalid", "spec.architecture: too long"),
        ApiAway(500, "InternalError", 'failed calling webhook "policy.example.com": connection refused'),
        ApiAway(500, "", 'admission webhook "policy.example.com" denied the request: no budget'),
        ApiAway(429, "", 'admission webhook "policy.example.com" denied the request: slow down'),
    ],
)
def test_a_quota_and_a_policy_refuse_whatever_code_they_chose(error: ApiError) -> None:
    assert is_refusal(error)


@pytest.mark.parametrize(
    "error",
    [
        ApiAway(0, "NoAnswer", "connection refused"),
        ApiAway(503, "ServiceUnavailable", "apiserver is shutting down"),
        ApiAway(429, "TooManyRequests", "the server has received too many requests"),
        Terminating(403, "Forbidden", "namespace team-a is being terminated"),
    ],
)
def test_a_server_that_is_away_and_a_namespace_that_ends_refuse_nothing(error: ApiError) -> None:
    assert not is_refusal(error)
