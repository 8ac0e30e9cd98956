"""Builders of Jobs: what every pod has, and what workloads, templates and queues change."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from pfpnas_api.jobs import EXIT_BAD_INPUT, TrialJob, TuneJob
from pfpnas_api.kinds.common import MAX_PARENT_NAME
from pfpnas_api.kinds.experiment import TrialTemplate
from pfpnas_api.kinds.pods import PodTemplate
from pfpnas_api.kinds.supernet import TrainingSpec
from pfpnas_operator.kube.config import Config
from pfpnas_operator.kube.jobs import JobBuilder
from pfpnas_operator.kube.owners import Owner
from pfpnas_operator.reconcile import JobRequest, names
from pfpnas_operator.reconcile.building import build_request
from pfpnas_operator.reconcile.deadlines import PENDING_DEADLINE, UNSCHEDULABLE_DEADLINE
from support.kube_parts import CONFIG, job_request
from support.reconcile_builders import make_checkpoint, make_experiment, make_supernet


def owner(**fields: Any) -> Owner:
    values: dict[str, Any] = {
        "kind": "Supernet",
        "namespace": "team-a",
        "name": "net",
        "uid": "u-1",
        "template": PodTemplate(),
        "queue": None,
        "image": None,
        "workers": 1,
    }
    return Owner(**(values | fields))


def build(workload: str = "pretrain", *, config: Config = CONFIG, **fields: Any) -> dict[str, Any]:
    return JobBuilder(config, owner(**fields)).build(job_request(workload))


def pod(job: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def container(job: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod(job)["containers"]
    return dict(only)


@pytest.mark.parametrize("workload", ["pretrain", "fit-predictor", "trial", "trial-worker"])
def test_every_pod_passes_the_restricted_profile(workload: str) -> None:
    job = build(workload)
    assert pod(job)["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container(job)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert pod(job)["automountServiceAccountToken"] is False
    assert {"name": "tmp", "mountPath": "/tmp"} in container(job)["volumeMounts"]


@pytest.mark.parametrize("workload", ["pretrain", "fit-predictor", "trial", "trial-worker"])
def test_bad_input_fails_at_once_and_disruption_does_not_count(workload: str) -> None:
    first, second = build(workload)["spec"]["podFailurePolicy"]["rules"]
    assert (first["action"], first["onExitCodes"]["values"]) == ("FailJob", [EXIT_BAD_INPUT])
    assert (second["action"], second["onPodConditions"][0]["type"]) == ("Ignore", "DisruptionTarget")
    assert pod(build(workload))["restartPolicy"] == "Never"


def test_the_reconciler_tries_again_and_not_the_job() -> None:
    assert build("pretrain")["spec"]["backoffLimit"] == 0
    assert build("trial-worker", workers=4)["spec"]["backoffLimit"] > 0


def test_the_document_is_in_the_environment_and_nothing_is_expanded_in_it() -> None:
    template = PodTemplate()
    made = JobBuilder(CONFIG, owner(template=template))
    text = "a$(PFPNAS_REDIS_URL)b"
    asked = job_request("trial")
    document = asked.document.model_copy(update={"architecture": text})
    job = made.build(JobRequest(name="n", workload="trial", document=document))  # type: ignore[arg-type]
    (value,) = [one["value"] for one in container(job)["env"] if one["name"] == "PFPNAS_JOB"]
    assert "$$(PFPNAS_REDIS_URL)" in value
    assert json.loads(value.replace("$$(", "$("))["architecture"] == text


def test_credentials_come_from_the_owners_secret() -> None:
    secrets = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container(build())["env"] if "valueFrom" in one}
    assert secrets["PFPNAS_REDIS_URL"] == {"name": "net-sn-pfpnas", "key": "redis-url"}
    assert secrets["PFPNAS_ARTIFACTS_TOKEN"]["name"] == "net-sn-pfpnas"


def test_children_are_found_and_taken_away_with_their_owner() -> None:
    metadata = build()["metadata"]
    assert metadata["labels"]["pfpnas.io/owner"] == "u-1"
    assert metadata["annotations"]["pfpnas.io/job"] == "u-1-pretrain"
    (reference,) = metadata["ownerReferences"]
    assert (reference["uid"], reference["controller"], reference["blockOwnerDeletion"]) == ("u-1", True, True)


def test_a_queue_is_a_label_on_a_job_that_waits() -> None:
    job = build(queue="gpu-team-a")
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu-team-a"
    assert job["spec"]["suspend"] is True
    assert build()["spec"]["suspend"] is False


def test_a_template_goes_before_the_defaults_and_never_over_our_labels() -> None:
    template = PodTemplate.model_validate(
        {
            "resources": {"limits": {"nvidia.com/gpu": 2}},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "labels": {"team": "a"},
            "priorityClassName": "low",
        }
    )
    job = build(template=template)
    assert container(job)["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert pod(job)["nodeSelector"] == {"disk": "ssd"}
    assert pod(job)["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert pod(job)["priorityClassName"] == "low"
    assert job["spec"]["template"]["metadata"]["labels"]["team"] == "a"
    assert container(build())["resources"]["limits"] == {"cpu": "4"}


def test_a_trials_own_image_gets_arguments_and_no_command() -> None:
    made = container(build("trial", image="registry/mine:1"))
    assert (made["image"], made["args"]) == ("registry/mine:1", ["trial", "--trial"])
    assert "command" not in made
    assert container(build("pretrain", image="registry/mine:1"))["image"] == "registry/workloads:1"


def test_workers_train_together_by_one_indexed_job_and_a_headless_service() -> None:
    template = PodTemplate.model_validate({"resources": {"limits": {"nvidia.com/gpu": 4}}})
    builder = JobBuilder(CONFIG, owner(workers=3, template=template))
    job = builder.build(job_request("pretrain"))
    assert (job["spec"]["completionMode"], job["spec"]["completions"], job["spec"]["parallelism"]) == ("Indexed", 3, 3)
    command = container(job)["command"]
    assert any("torchrun" in word for word in command)
    assert "--nproc-per-node=4" in command
    service = builder.service(job_request("pretrain"))
    assert service is not None
    name = service["metadata"]["name"]
    assert f"--master-addr=net-pretrain-0.{name}" in command
    assert pod(job)["subdomain"] == name
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": "net-pretrain"}
    assert service["metadata"]["ownerReferences"][0]["uid"] == "u-1"


def test_the_service_of_a_training_is_nobody_elses() -> None:
    mine, theirs = (JobBuilder(CONFIG, owner(workers=2, uid=uid, name="2net")) for uid in ("u-1", "u-2"))
    uid = "0b7dfd4e-63a5-4b26-b8ae-60e3ca7de1c1"
    asked = job_request("pretrain")
    long = JobRequest(
        name="2net-pretrain",
        workload="pretrain",
        document=asked.document.model_copy(update={"uid": f"{uid}-pretrain"}),  # type: ignore[arg-type]
    )
    own, other = mine.service(asked), theirs.service(long)
    assert own is not None
    assert other is not None
    assert own["metadata"]["name"] != other["metadata"]["name"]
    assert uid in other["metadata"]["name"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", other["metadata"]["name"])


def test_the_server_ends_no_build_that_the_operator_still_waits_for() -> None:
    longest = max(bound.le for bound in TrialTemplate.model_fields["deadline_seconds"].metadata if hasattr(bound, "le"))
    waits = UNSCHEDULABLE_DEADLINE.total_seconds() + PENDING_DEADLINE.total_seconds()
    assert build("trial")["spec"]["activeDeadlineSeconds"] > waits + longest


def test_the_first_workers_wait_for_the_last_as_long_as_that_may_wait_for_a_node() -> None:
    job = JobBuilder(CONFIG, owner(workers=2)).build(job_request("pretrain"))
    seconds = int(UNSCHEDULABLE_DEADLINE.total_seconds())
    assert f"--rdzv-conf=timeout={seconds}" in container(job)["command"]


GPU = PodTemplate.model_validate({"resources": {"limits": {"nvidia.com/gpu": 1}}})
TUNE = TuneJob(
    uid="u-1-tune",
    experiment="u-1",
    search_space=make_supernet().spec.search_space,
    classes=10,
    objective=make_experiment().spec.objective,
    tuner=make_experiment().spec.tuner,
)


def mark(request: JobRequest, config: Config = CONFIG, **fields: Any) -> str:
    job = JobBuilder(config, owner(**fields)).build(request)
    return str(job["metadata"]["annotations"]["pfpnas.io/made-of"])


@pytest.mark.parametrize(
    ("workload", "changed"),
    [
        ("trial", {"queue": "other"}),
        ("trial-worker", {"workers": 2}),
        ("pretrain", {"workers": 2}),
        ("trial", {"image": "registry/mine:2"}),
        ("trial", {"template": GPU}),
    ],
)
def test_what_a_job_is_made_of_marks_it(workload: str, changed: dict[str, Any]) -> None:
    request = job_request(workload)
    upgraded = CONFIG.model_copy(
        update={"images": CONFIG.images.model_copy(update={"workloads": "registry/workloads:2"})}
    )
    assert mark(request) == mark(request) == mark(request, upgraded)
    assert mark(request) != mark(request, **changed)


@pytest.mark.parametrize(
    ("asked", "changed"),
    [
        (job_request("trial"), {"workers": 2}),
        (job_request("fit-predictor"), {"workers": 2}),
        (job_request("pretrain"), {"image": "registry/mine:2"}),
        (JobRequest(name="net-tune", workload="tune", document=TUNE), {"workers": 2, "image": "registry/mine:2"}),
    ],
)
def test_what_a_job_is_not_made_of_costs_it_no_place_in_a_queue(asked: JobRequest, changed: dict[str, Any]) -> None:
    assert mark(asked) == mark(asked, **changed)


def test_a_gpu_for_the_trials_is_nothing_that_the_tuner_is_made_of() -> None:
    request = JobRequest(name="net-tune", workload="tune", document=TUNE)
    few, more = (PodTemplate.model_validate({"resources": {"limits": {"nvidia.com/gpu": n}}}) for n in (1, 2))
    assert mark(request, template=few) == mark(request, template=more)


def test_a_release_whose_documents_have_another_field_makes_no_job_anew() -> None:
    class Later(TrialJob):
        more: bool = False

    now = job_request("trial")
    assert mark(now) == mark(replace(now, document=Later(**dict(now.document))))
    assert mark(now) != mark(replace(now, document=Later(**dict(now.document), more=True)))


def test_one_pod_with_several_gpus_trains_by_all_of_them() -> None:
    template = PodTemplate.model_validate({"resources": {"limits": {"nvidia.com/gpu": 4}}})
    job = build("pretrain", template=template)
    command = container(job)["command"]
    assert {"--nnodes=1", "--node-rank=0", "--nproc-per-node=4", "--master-addr=127.0.0.1"} <= set(command)
    assert {"name": "shm", "mountPath": "/dev/shm"} in container(job)["volumeMounts"]
    assert {"name": "shm", "emptyDir": {"medium": "Memory"}} in pod(job)["volumes"]
    assert "completionMode" not in job["spec"]
    fit = build("fit-predictor", template=template)
    assert container(fit)["command"] == ["python", "-m", "pfpnas_workloads"]
    assert [volume["name"] for volume in pod(fit)["volumes"]] == ["tmp"]


@pytest.mark.parametrize("gpus", [0, 1])
def test_one_pod_with_one_gpu_or_none_trains_without_torchrun(gpus: int) -> None:
    template = PodTemplate.model_validate({"resources": {"limits": {"nvidia.com/gpu": gpus}}})
    assert container(build("pretrain", template=template))["command"] == ["python", "-m", "pfpnas_workloads"]


def test_one_worker_trains_without_a_service() -> None:
    job = build("pretrain")
    assert "completionMode" not in job["spec"]
    assert JobBuilder(CONFIG, owner()).service(job_request("pretrain")) is None
    assert JobBuilder(CONFIG, owner(workers=3)).service(job_request("fit-predictor")) is None


def test_pooled_workers_are_one_indexed_job() -> None:
    assert build("trial-worker", workers=5)["spec"]["completions"] == 5


def test_secrets_of_an_object_store_become_variables() -> None:
    config = CONFIG.model_copy(
        update={"artifacts": CONFIG.artifacts.model_copy(update={"credentials_secret": "bucket"})}
    )
    assert container(build(config=config))["envFrom"] == [{"secretRef": {"name": "bucket"}}]
    assert pod(build())["imagePullSecrets"] == [{"name": "pull"}]


def test_owners_of_both_kinds() -> None:
    assert Owner.of(make_supernet()).kind == "Supernet"
    assert Owner.of(make_experiment()).secret.endswith("-nas-pfpnas")


def test_the_longest_names_that_kubernetes_makes_of_ours_are_labels() -> None:
    name, uid = "a" * MAX_PARENT_NAME, "0b7dfd4e-63a5-4b26-b8ae-60e3ca7de1c1"
    supernet, experiment = make_supernet(), make_experiment(name=name)
    supernet = supernet.model_copy(update={"metadata": supernet.metadata.model_copy(update={"name": name, "uid": uid})})
    most = {
        kind: max(bound.le for bound in kind.model_fields["workers"].metadata if hasattr(bound, "le"))
        for kind in (TrainingSpec, TrialTemplate)
    }
    request = build_request(experiment, make_checkpoint(), "any")
    made = [
        f"{names.pretrain_job(supernet)}-{most[TrainingSpec] - 1}",
        f"{names.worker_job(experiment)}-{most[TrialTemplate] - 1}",
        names.fit_predictor_job(supernet),
        names.tune_job(experiment),
        names.build_job(experiment, request),
        names.trial(experiment, 10**5),
    ]
    assert {one: len(one) for one in made if len(one) > 63} == {}
