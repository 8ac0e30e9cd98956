"""What is odd and yet allowed: names that look like numbers, amounts with fractions, addresses with ports, doubles."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pfpnas_operator.kube.config import Config
from support.charts import Rendering, config_of, fresh_template, of_kind, refusal, rendered


class KubernetesLoader(yaml.SafeLoader):
    """YAML as Kubernetes and Helm read it, to whom 1e3 is a number, as it isn't to PyYAML."""


KubernetesLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)

NUMBERS = """
image: {pullSecrets: ["2024", "1e3", "true", "null"]}
operator: {priorityClassName: "true", nodeSelector: {zone: "1e3"}, tolerations: [{key: zone, value: "1e3"}]}
artifacts: {storageClass: "2024", priorityClassName: "1e3"}
podDisruptionBudget: {enabled: true}
metrics: {serviceMonitor: {enabled: true, labels: {release: "1e3"}}}
networkPolicy:
  apiServer: {cidrs: ["::/0"]}
  metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "2024"}}}]
"""

INSIDE = """
key: {existingSecret: "1e3"}
watch: {namespaces: ["2024", "1e3", "true"]}
redis:
  existingSecret: "1e3"
  storageClass: "2024-01-01"
  priorityClassName: "1.5"
  tls: {enabled: true, dnsNames: ["2024"], issuer: {name: "1e3", group: "true"}}
  agents:
    url: rediss://2024/0
    service: {enabled: true, loadBalancerClass: "1e3", sourceRanges: ["::/0"], annotations: {example.org/note: "1e3"}}
"""

CERTIFIED = """
redis: {tls: {enabled: true, existingSecret: "1e3"}}
"""

OUTSIDE = """
redis: {external: {url: "rediss://redis.example.org", existingSecret: "1e3", ca: "2024"}}
artifacts: {external: {url: "s3://2024", credentialsSecret: "1e3"}}
"""

AGENT = """
fullnameOverride: "true"
pool: "1e3"
join: {existingSecret: "1e3"}
image: {pullSecrets: ["1e3"]}
agent: {config: {namespaces: ["1e3"]}}
runtimeClassName: "1e3"
priorityClassName: "true"
networkPolicy: {redisCIDRs: ["::/0"]}
"""

AGENT_CLAIMS = """
data: {existingClaim: "1e3"}
state: {existingClaim: "2024"}
"""

AGENT_FOLDERS = """
data: {hostPath: "/a, b: #c"}
state: {hostPath: "/a, b: #c"}
"""

ODD = {
    "inside": ("pfpnas", (NUMBERS, INSIDE)),
    "certified": ("pfpnas", (NUMBERS, CERTIFIED)),
    "outside": ("pfpnas", (NUMBERS, OUTSIDE)),
    "agent-claims": ("pfpnas-edge-agent", (AGENT, AGENT_CLAIMS)),
    "agent-folders": ("pfpnas-edge-agent", (AGENT, AGENT_FOLDERS)),
}
"""Together every line that writes a name; pfpnas-crds writes none that is anybody's choice."""

TEXT_MAPS = {"annotations", "labels", "matchLabels", "nodeSelector"}
"""What holds texts alone, whatever its keys are."""

TEXTS = re.compile(r"(.*[nN]ame|namespace|cidr|path|loadBalancerClass|group|args|command|dnsNames|values)$")
"""Fields that hold a text or a list of texts."""


@pytest.mark.parametrize("release", ["1e3", "true", "2024"])
@pytest.mark.parametrize("name", ODD)
def test_a_name_that_looks_like_a_number_is_a_text(name: str, release: str, tmp_path: Path) -> None:
    chart, texts = ODD[name]
    odd = Rendering(name=name, chart=chart, files=_files(tmp_path, texts), release=release, namespace="2024")
    documents = [one for one in yaml.load_all(fresh_template(odd), Loader=KubernetesLoader) if one]
    named = [(one["kind"], *text) for one in documents for text in _texts(one)]
    assert [found for found in named if not isinstance(found[2], str)] == []
    assert {"2024", "1e3", "true", release} <= {value for _, _, value in named}


def _files(folder: Path, texts: tuple[str, ...]) -> tuple[Path, ...]:
    files = [(folder / f"{number}.yaml", text) for number, text in enumerate(texts)]
    for file, text in files:
        file.write_text(text)
    return tuple(file for file, _ in files)


def _texts(part: object, path: str = "") -> Iterator[tuple[str, object]]:
    """What has to be a text, and where it is."""
    if isinstance(part, dict):
        for key, value in part.items():
            inner = f"{path}.{key}"
            if key in TEXT_MAPS and isinstance(value, dict):
                yield from ((f"{inner}.{name}", text) for name, text in value.items())
            elif TEXTS.match(key) and isinstance(value, list):
                yield from ((inner, text) for text in value)
            elif TEXTS.match(key):
                yield inner, value
            yield from _texts(value, inner)
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from _texts(value, f"{path}[{number}]")


def test_a_folder_of_the_node_may_have_any_name(tmp_path: Path) -> None:
    chart, texts = ODD["agent-folders"]
    documents = rendered(Rendering(name="odd", chart=chart, files=_files(tmp_path, texts)))
    (daemons,) = of_kind(documents, "DaemonSet")
    volumes = daemons["spec"]["template"]["spec"]["volumes"]
    assert [one["hostPath"]["path"] for one in volumes if "hostPath" in one] == ["/a, b: #c"] * 2


AMOUNTS = """
workloads:
  resources:
    pretrain: {requests: {cpu: 0.5, memory: 8589934592}, limits: {cpu: 1.50, memory: 1.6e10}}
    trial: {requests: {cpu: 1.0}, limits: {nvidia.com/gpu: 1}}
"""


def test_an_amount_of_a_workload_needs_no_quotes(tmp_path: Path) -> None:
    documents = rendered(Rendering(name="odd", chart="pfpnas", files=_files(tmp_path, (AMOUNTS,))))
    resources = Config.model_validate(config_of(documents, "pfpnas-operator", "config.yaml")).resources
    assert resources["pretrain"].requests == {"cpu": "0.5", "memory": "8589934592"}
    assert resources["pretrain"].limits == {"cpu": "1.5", "memory": "16000000000"}
    assert resources["trial"].requests["cpu"] == "1"
    assert resources["trial"].limits == {"nvidia.com/gpu": "1"}


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("https://store.example.org/artifacts", 443),
        ("http://store.example.org", 80),
        ("https://store.example.org:8443/artifacts", 8443),
        ("http://artifacts.pfpnas.svc:8080", 8080),
        ("http://[2001:db8::80]:9000/", 9000),
        ("https://[2001:db8::80]/", 443),
        ("s3://bucket/prefix", 443),
        ("gs://bucket", 443),
        ("abfs://container@account.dfs.core.windows.net/prefix", 443),
    ],
)
def test_the_operator_may_go_to_the_port_of_the_store_outside(url: str, port: int) -> None:
    policies = of_kind(rendered(_with(f"artifacts.external.url={url}")), "NetworkPolicy")
    (rules,) = (one["spec"]["egress"] for one in policies if one["metadata"]["name"] == "pfpnas-operator")
    # DNS, the API server and Redis come before it.
    assert [rule["ports"] for rule in rules[3:]] == [[{"protocol": "TCP", "port": port}]]


@pytest.mark.parametrize("field", ["watch.namespaces", "image.pullSecrets"])
def test_what_makes_an_object_each_is_named_once(field: str) -> None:
    assert refusal(_with(f"{field}={{a,b}}")) == ""
    said = refusal(_with(f"{field}={{a,b,a}}"))
    assert field.replace(".", "/") in said
    assert "equal" in said


def test_an_amount_below_nothing_is_refused_by_name(tmp_path: Path) -> None:
    files = _files(tmp_path, ("workloads: {resources: {trial: {requests: {cpu: -0.5}}}}",))
    assert "workloads/resources/trial/requests/cpu" in refusal(Rendering(name="odd", chart="pfpnas", files=files))


def _with(value: str) -> Rendering:
    return Rendering(name="odd", chart="pfpnas", sets=(value,))
