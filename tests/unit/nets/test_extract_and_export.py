"""Supernet = extracted net = its ONNX = its cost, for both backbones and every kind of block."""

import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from pfpnas_api.spaces import Architecture, ArchitectureError, SearchSpace, cost
from pfpnas_workloads.nets import StaticNet, arrays, extract, to_onnx

SMALL = {"kernel_sizes": (3, 5, 7), "expand_ratios": (1, 2, 4), "depths": (1, 2, 3), "resolutions": (16, 24, 32)}
SPACES = {
    "mobilenet": SearchSpace(**SMALL),
    "proxyless": SearchSpace(backbone="ProxylessNAS", **SMALL),
    "imagenet": SearchSpace(backbone="ProxylessNAS", **SMALL | {"resolutions": (96,)}),
    "skips 5": SearchSpace(**SMALL | {"kernel_sizes": (3, 7)}),
    "wider": SearchSpace(width_multiplier=0.6, **SMALL),
}


def architectures(space: SearchSpace) -> list[Architecture]:
    rng = np.random.default_rng(3)
    return [space.minimum(), space.maximum(), *(space.sample(rng) for _ in range(4))]


def images(side: int, count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def initializers(model: bytes) -> list[onnx.TensorProto]:
    return list(onnx.load_from_string(model).graph.initializer)


def run_onnx(model: bytes, x: torch.Tensor) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(["features", "logits"], {"images": x.numpy()})


@pytest.mark.parametrize("name", SPACES)
def test_the_extracted_net_computes_what_the_supernet_does(name: str, make_supernet) -> None:
    supernet = make_supernet(SPACES[name])
    for architecture in architectures(SPACES[name]):
        x = images(architecture.resolution)
        with torch.no_grad():
            expected, own = supernet(x, architecture), extract(supernet, architecture)(x)
        assert expected.std() > 0.01
        assert (own - expected).abs().max() <= 1e-5 * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("name", SPACES)
def test_the_onnx_computes_what_the_static_net_does(name: str, make_supernet) -> None:
    supernet = make_supernet(SPACES[name])
    for architecture in architectures(SPACES[name]):
        static, x = extract(supernet, architecture), images(architecture.resolution)
        features, logits = run_onnx(to_onnx(static), x)
        with torch.no_grad():
            assert np.abs(features - static.features(x).numpy()).max() <= 1e-4
            assert np.abs(logits - static(x).numpy()).max() <= 1e-4


@pytest.mark.parametrize("name", SPACES)
def test_the_cost_is_that_of_the_built_net(name: str, make_supernet) -> None:
    space = SPACES[name]
    supernet = make_supernet(space)
    for architecture in architectures(space):
        static, own = extract(supernet, architecture), cost(space, architecture)
        assert own.parameters == sum(parameter.numel() for parameter in static.parameters())
        assert own.macs == counted_macs(static)
        assert own.model_bytes == sum(len(tensor.raw_data) for tensor in initializers(to_onnx(static)))


def counted_macs(static: StaticNet) -> int:
    counts: list[int] = []

    def count(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        counts.append(output[0].numel() * module.weight[0].numel())

    layers = [m for m in static.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        static(images(static.architecture.resolution, count=1))
    for handle in handles:
        handle.remove()
    return sum(counts)


def test_other_sizes_are_resized_alike(make_supernet) -> None:
    space = SPACES["mobilenet"]
    supernet, architecture = make_supernet(space), space.minimum()
    with torch.no_grad():
        expected, own = supernet(images(28), architecture), extract(supernet, architecture)(images(28))
    assert torch.allclose(own, expected, atol=1e-5)


def test_the_extracted_net_owns_its_tensors(make_supernet) -> None:
    space = SPACES["mobilenet"]
    supernet = make_supernet(space)
    static = extract(supernet, space.maximum())
    shared = {tensor.untyped_storage().data_ptr() for tensor in supernet.state_dict().values()}
    assert all(t.untyped_storage().data_ptr() not in shared for t in static.state_dict().values() if t.ndim)
    assert all(tensor.is_contiguous() for tensor in static.state_dict().values())


def test_the_extracted_net_can_be_trained(make_supernet) -> None:
    space = SPACES["mobilenet"]
    static = extract(make_supernet(space), space.minimum()).train()
    static(images(16)).sum().backward()
    assert all(parameter.grad is not None for parameter in static.parameters())


def test_extraction_refuses_foreign_architectures(make_supernet) -> None:
    with pytest.raises(ArchitectureError):
        extract(make_supernet(SPACES["mobilenet"]), SPACES["imagenet"].minimum())


def test_arrays_are_float32_in_layer_order(make_supernet) -> None:
    space = SPACES["mobilenet"]
    own = arrays(extract(make_supernet(space), space.minimum()))
    assert list(own)[:3] == ["preparation.mean", "preparation.std", "stem.conv.weight"]
    assert list(own)[-2:] == ["classifier.weight", "classifier.bias"]
    assert {array.dtype for array in own.values()} == {np.dtype(np.float32)}


def test_equal_arrays_give_equal_bytes(make_supernet) -> None:
    space = SPACES["mobilenet"]
    models = [to_onnx(extract(make_supernet(space), space.maximum())) for _ in range(2)]
    assert hashlib.sha256(models[0]).digest() == hashlib.sha256(models[1]).digest()


def test_the_file_is_valid_plain_and_old_enough(make_supernet) -> None:
    space = SPACES["mobilenet"]
    data = to_onnx(extract(make_supernet(space), space.maximum()))
    onnx.checker.check_model(data, full_check=True)
    model = onnx.load_from_string(data)
    assert (model.ir_version, model.opset_import[0].version) == (7, 13)
    assert [(p.key, p.value) for p in model.metadata_props] == [("architecture", space.maximum().id)]
    assert {node.op_type for node in model.graph.node} == {
        "Add", "Clip", "Conv", "Flatten", "Gemm", "GlobalAveragePool", "Sub",
    }  # fmt: skip
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in model.graph.initializer)


def test_the_files_shapes_are_the_contract(make_supernet) -> None:
    space = SPACES["mobilenet"]
    graph = onnx.load_from_string(to_onnx(extract(make_supernet(space), space.minimum()))).graph
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.output]
    }
    assert shapes == {
        "images": ["batch", 3, 16, 16],
        "features": ["batch", space.feature_channels],
        "logits": ["batch", 10],
    }
