"""Building candidates: the same request, the same bytes; what is at fault is said."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from pfpnas_api.artifacts import ArtifactMissing, FolderStore
from pfpnas_api.kinds import ArtifactRef
from pfpnas_workloads.nets import extract, recalibrate
from pfpnas_workloads.training import load_calibration, load_supernet
from pfpnas_workloads.trial import Builder
from support.candidates import SPACE, Trained, put_supernet


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def trained(store: FolderStore) -> Trained:
    return put_supernet(store)


def model_of(store: FolderStore, **fields: object) -> str:
    manifest = Builder(store).ensure(put_supernet(store).request(**fields))
    assert manifest.outcome == "Done", manifest.message
    return manifest.artifacts["model"].sha256


def test_the_model_is_the_recalibrated_slice(store: FolderStore, trained: Trained) -> None:
    manifest = Builder(store).ensure(trained.request(architecture=SPACE.maximum().id))
    static = extract(load_supernet(store.get(trained.checkpoint.sha256)), SPACE.maximum())
    recalibrate(static, [load_calibration(store.get(trained.calibration.sha256)).float() / 255])
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    session = onnxruntime.InferenceSession(store.get(manifest.artifacts["model"].sha256))
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(logits, static(images).numpy(), atol=1e-4)
    assert manifest.figures.keys() == {"buildMilliseconds", "recalibrationMilliseconds"}


def test_the_same_request_gives_the_same_digest(store: FolderStore) -> None:
    assert model_of(store, uid="first") == model_of(store, uid="second")


def test_the_order_of_requests_changes_nothing(store: FolderStore, trained: Trained) -> None:
    builder = Builder(store)
    builder.build(trained.request(weights="Untrained", seed=3))
    builder.build(trained.request(architecture=SPACE.maximum().id))
    alone = Builder(store).build(trained.request())
    assert builder.build(trained.request()).artifacts == alone.artifacts


def test_untrained_weights_follow_from_the_seed_alone(store: FolderStore) -> None:
    one, again, other = (model_of(store, uid=f"u-{i}", weights="Untrained", seed=s) for i, s in enumerate((1, 1, 2)))
    assert one == again
    assert len({one, other, model_of(store, uid="trained")}) == 3


def test_untrained_nets_take_the_same_input_and_give_the_same_shape(store: FolderStore) -> None:
    models = [
        onnx.load_from_string(store.get(model_of(store, uid=w.lower(), weights=w))) for w in ("Trained", "Untrained")
    ]
    assert models[0].graph.input == models[1].graph.input
    assert models[0].graph.output == models[1].graph.output
    means = [next(t for t in model.graph.initializer if t.name == "mean") for model in models]
    assert means[0] == means[1], "the normalisation belongs to the data"


@pytest.mark.parametrize("text", ["nonsense", "r16-k9e9", SPACE.minimum().id.replace("r16", "r24")])
def test_what_is_no_architecture_of_the_space_is_said_in_the_manifest(
    text: str, store: FolderStore, trained: Trained
) -> None:
    manifest = Builder(store).ensure(trained.request(architecture=text))
    assert manifest.outcome == "BadArchitecture"
    assert text in manifest.message
    assert store.read_manifest("b-1") == manifest


@pytest.mark.parametrize("part", ["checkpoint", "calibration"])
def test_something_else_in_the_place_of_an_artifact_is_bad_input(
    part: str, store: FolderStore, trained: Trained
) -> None:
    junk = store.put(b"junk")
    manifest = Builder(store).ensure(trained.request(**{part: junk}))
    assert manifest.outcome == "BadInput"
    assert junk.sha256 in manifest.message


def test_a_checkpoint_that_is_not_in_the_store_leaves_no_manifest(store: FolderStore, trained: Trained) -> None:
    with pytest.raises(ArtifactMissing):
        Builder(store).ensure(trained.request(checkpoint=ArtifactRef(sha256="0" * 64, size=1)))
    assert store.read_manifest("b-1") is None


def test_what_is_built_is_not_built_again(store: FolderStore, trained: Trained) -> None:
    first = Builder(store).ensure(trained.request())
    store.delete(trained.checkpoint.sha256)
    assert Builder(store).ensure(trained.request()) == first


def test_a_model_that_the_store_lost_is_built_again_to_the_same_digest(store: FolderStore, trained: Trained) -> None:
    first = Builder(store).ensure(trained.request())
    store.delete(first.artifacts["model"].sha256)
    assert Builder(store).ensure(trained.request()).artifacts == first.artifacts
    assert store.has(first.artifacts["model"].sha256)


def test_a_checkpoint_is_read_once_for_many_builds(store: FolderStore, trained: Trained) -> None:
    builder = Builder(store)
    builder.build(trained.request())
    store.delete(trained.checkpoint.sha256)
    store.delete(trained.calibration.sha256)
    assert builder.build(trained.request(architecture=SPACE.maximum().id)).outcome == "Done"
