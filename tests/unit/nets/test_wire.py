"""Hand-framed ONNX files read back as what protobuf itself would have written."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pfpnas_workloads.nets.wire import join_model


def make_model() -> onnx.ModelProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    return helper.make_model(helper.make_graph([helper.make_node("Add", ["x", "c"], ["y"])], "g", [value], [result]))


@pytest.mark.parametrize("shape", [(), (0,), (3,), (31,), (32,), (33,), (127, 129), (2, 3, 5, 7)])
def test_every_length_reads_back(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    expected = make_model()
    expected.graph.initializer.append(numpy_helper.from_array(values, "c"))
    assert onnx.load_from_string(join_model(make_model(), [("c", values)])) == expected


def test_tensors_keep_their_order_and_need_not_be_contiguous() -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    model = onnx.load_from_string(join_model(make_model(), [("b", values.T), ("a", values[:, 1])]))
    assert [tensor.name for tensor in model.graph.initializer] == ["b", "a"]
    assert np.array_equal(numpy_helper.to_array(model.graph.initializer[0]), values.T)
    assert np.array_equal(numpy_helper.to_array(model.graph.initializer[1]), values[:, 1])


def test_the_given_model_is_not_changed() -> None:
    model = make_model()
    join_model(model, [("c", np.zeros(3, dtype=np.float32))])
    assert model == make_model()
