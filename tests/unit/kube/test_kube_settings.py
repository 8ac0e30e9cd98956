"""How kopf is set: each value is one that its defaults, or a careless change, would turn into an outage."""

import logging

import kopf
import pytest
from kopf._core.intents.causes import Activity

from pfpnas_operator.kube import handlers
from pfpnas_operator.kube import settings as our


@pytest.fixture
def settings() -> kopf.OperatorSettings:
    """Kopf's own, with ours applied."""
    made = kopf.OperatorSettings()
    made.posting.loggers = made.networking.trust_env = True  # kopf's defaults are ours just now: that says nothing
    our.apply(made)
    return made


def test_ten_thousand_objects_are_listed_with_few_workers(settings: kopf.OperatorSettings) -> None:
    """Kopf's own limit is none: a worker for each object at a restart."""
    assert settings.queueing.worker_limit == 20
    assert settings.queueing.idle_timeout <= 0.01, "a worker that waits for more holds up all others"
    assert settings.execution.max_workers == 16
    assert settings.watching.chunk_size == 500


def test_no_watch_and_no_request_waits_for_ever(settings: kopf.OperatorSettings) -> None:
    """Kopf's own watches have no end, and a request may take five minutes."""
    assert (settings.watching.server_timeout, settings.watching.client_timeout) == (600, 660)
    assert settings.networking.request_timeout == 30


def test_what_kopf_writes_on_objects_has_our_name(settings: kopf.OperatorSettings) -> None:
    persistence = settings.persistence
    assert persistence.finalizer == "pfpnas.io/kopf"
    progress, diffbase = persistence.progress_storage, persistence.diffbase_storage
    # Exactly these: kopf's default for progress also writes into the status, where the schema prunes it.
    assert type(progress) is kopf.AnnotationsProgressStorage
    assert type(diffbase) is kopf.AnnotationsDiffBaseStorage
    assert (progress.prefix, diffbase.prefix) == ("kopf.pfpnas.io", "kopf.pfpnas.io")


def test_kopfs_own_words_are_no_events(settings: kopf.OperatorSettings) -> None:
    assert settings.posting.level == logging.WARNING
    assert settings.posting.loggers is False


def test_nobody_is_asked_for_that_there_is_no_right_to_see(settings: kopf.OperatorSettings) -> None:
    """Peers and the cluster's kinds and namespaces: the chart grants none of these."""
    assert settings.peering.standalone is True
    assert settings.scanning.disabled is True


def test_the_cluster_is_not_asked_through_a_proxy(settings: kopf.OperatorSettings) -> None:
    assert settings.networking.trust_env is False


def test_only_jobs_of_ours_are_watched(settings: kopf.OperatorSettings) -> None:
    selectors = {kind.any_name: text for kind, text in settings.watching.label_selectors.items()}
    assert selectors == {"jobs": "app.kubernetes.io/managed-by=pfpnas"}


def test_the_end_comes_before_the_pods_grace_is_over(settings: kopf.OperatorSettings) -> None:
    assert settings.process.ultimate_exiting_timeout == 20, "terminationGracePeriodSeconds is 30"


def test_the_login_is_ours_alone() -> None:
    """Kopf's own guesses which of the client libraries are there, and tries them all."""
    found = kopf.get_default_registry()._activities.get_handlers(activity=Activity.AUTHENTICATION)
    assert [one.fn for one in found] == [handlers.login]
