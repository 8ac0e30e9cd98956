"""Two teams that call everything the same see nothing of one another."""

from typing import Any

from support.lab import Lab, experiment, supernet
from support.release import Release
from support.tiny_supernet import TINY


def test_equal_names_in_two_namespaces_do_not_mix(release: Release, private_data: dict[str, Any]) -> None:
    with release.cluster.namespace("team-a") as first, release.cluster.namespace("team-b") as second:
        labs = [Lab(release=release, namespace=name) for name in (first, second)]
        config = {"datasets": private_data, "namespaces": [first, second]}
        with release.outside_agent("teams", pool="teams", config=config):
            for lab, seed in zip(labs, (1, 2), strict=True):
                lab.apply(
                    supernet("net", {**TINY, "training": {**TINY["training"], "seed": seed}}),
                    experiment("same", of="net", pool="teams", trials=3, tuner={"seed": seed}),
                )
            for lab in labs:
                lab.wait("nas", "same", "Succeeded", seconds=400)

        nets = [lab.get("sn", "net")["status"]["checkpoint"]["sha256"] for lab in labs]
        assert nets[0] != nets[1]
        for lab, net in zip(labs, nets, strict=True):
            trials = lab.trials("same")
            assert {trial["status"]["checkpoint"] for trial in trials} == {net}
            assert [trial["metadata"]["namespace"] for trial in trials] == [lab.namespace] * 3
            assert lab.get("nas", "same")["status"]["trials"]["created"] == 3
