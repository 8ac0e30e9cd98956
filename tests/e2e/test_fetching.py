"""`pfpnas get best` by somebody who has no more than their own namespace, and what the docs say they need."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cluster.shell import CommandError
from support.lab import Lab, experiment
from support.release import OPERATOR_NAMESPACE

pytestmark = pytest.mark.usefixtures("agent")

OWN = ("--verb=get,list", "--resource=nasexperiments.pfpnas.io")
SECRETS = ("--verb=get", "--resource=secrets")
LOOK = ("--verb=get,list", "--resource=services,pods")
FORWARD = ("--verb=get,create", "--resource=pods/portforward")


def kubeconfig_of(lab: Lab, account: str, path: Path) -> str:
    """A kubeconfig of a service account without any rights, its namespace the lab's."""
    lab.kubectl("create", "serviceaccount", account)
    token = lab.kubectl("create", "token", account).strip()
    path.write_text(Path(lab.cluster.environment()["KUBECONFIG"]).read_text())
    config = ("config", "--kubeconfig", str(path))
    cluster = lab.cluster.kubectl(*config, "view", "-o", "jsonpath={.clusters[0].name}")
    lab.cluster.kubectl(*config, "set-credentials", account, f"--token={token}")
    context = (f"--cluster={cluster}", f"--user={account}", f"--namespace={lab.namespace}")
    lab.cluster.kubectl(*config, "set-context", account, *context)
    lab.cluster.kubectl(*config, "use-context", account)
    return str(path)


@contextmanager
def grants(lab: Lab, account: str) -> Iterator[Callable[..., None]]:
    """Gives the account rights in namespaces, and takes them back: one of these is the release's."""
    kubectl = lab.cluster.kubectl
    with ExitStack() as taken_back:

        def grant(namespace: str, name: str, *rule: str) -> None:
            both = (f"role/{name}", f"rolebinding/{name}")
            taken_back.callback(kubectl, "delete", *both, "--ignore-not-found", "-n", namespace)
            kubectl("create", "role", name, *rule, "-n", namespace)
            whose = f"--serviceaccount={lab.namespace}:{account}"
            kubectl("create", "rolebinding", name, f"--role={name}", whose, "-n", namespace)

        yield grant


def test_a_user_is_told_right_by_right_what_is_missing_and_then_has_the_model(
    lab: Lab, tiny: str, tmp_path: Path
) -> None:
    lab.apply(experiment("fetched", of=tiny, pool="bench", trials=1))
    lab.wait("nas", "fetched", "Succeeded")
    kubeconfig = kubeconfig_of(lab, "reader", tmp_path / "kubeconfig")
    model = tmp_path / "best.onnx"

    def get_best() -> str:
        return lab.release.pfpnas("get", "best", "fetched", "-o", str(model), "--kubeconfig", kubeconfig)

    steps = [
        ('cannot get resource "nasexperiments"', lab.namespace, OWN),
        ('cannot get resource "secrets"', lab.namespace, SECRETS),
        ('cannot get resource "services"', OPERATOR_NAMESPACE, LOOK),
        ("ask for the verbs get and create on pods/portforward", OPERATOR_NAMESPACE, FORWARD),
    ]
    with grants(lab, "reader") as grant:
        for number, (said, namespace, rule) in enumerate(steps):
            with pytest.raises(CommandError, match=said):
                get_best()
            grant(namespace, f"fetching-{number}", *rule)
        assert not model.exists()

        best = lab.get("nas", "fetched")["status"]["best"]
        assert best["architecture"] in get_best()
        assert hashlib.sha256(model.read_bytes()).hexdigest() == best["artifact"]["sha256"]
        with pytest.raises(CommandError, match="is there: name another file"):
            get_best()


def test_what_is_not_there_is_told_with_what_is(lab: Lab, tiny: str) -> None:
    lab.apply(experiment("unmeasured", of=tiny, pool="closed", trials=1))
    lab.until("its conditions", lambda: lab.condition("nas", "unmeasured", "Accepted"))
    with pytest.raises(CommandError, match=r"no best model yet: 0 of 1 trials measured; Accepted=False"):
        lab.release.pfpnas("get", "best", "unmeasured", "-n", lab.namespace)
    with pytest.raises(CommandError, match=r"read NASExperiment .*/nothing: .* has: .*unmeasured"):
        lab.release.pfpnas("get", "best", "nothing", "-n", lab.namespace)
    lab.kubectl("delete", "nas", "unmeasured")
