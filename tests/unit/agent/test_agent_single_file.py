"""A model that names a file of this device never reads it: neither by what it says, nor by where it is run."""

import os
from pathlib import Path

import onnx
import onnxruntime
import pytest

from pfpnas_agent.backends import onnx_runtime
from pfpnas_agent.backends.onnx_runtime import CPU, open_session
from pfpnas_agent.failures import Refused
from pfpnas_agent.single_file import PARTS, refuse_other_files
from support.agent_models import first_weights, tiny_model

ENCODINGS = pytest.mark.parametrize("overlong", [False, True], ids=["usual", "overlong"])


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with a file that a model may name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "private.bin").write_bytes(first_weights())
    return tmp_path


@ENCODINGS
def test_onnxruntime_alone_would_read_it(trap: Path, overlong: bool) -> None:
    content = tiny_model(external="private.bin", overlong=overlong)
    assert b"\x08location" not in content or not overlong
    assert onnxruntime.InferenceSession(content).get_inputs()[0].name == "images"


@ENCODINGS
def test_the_agent_refuses_the_model(trap: Path, overlong: bool) -> None:
    (trap / "model.onnx").write_bytes(tiny_model(external="private.bin", overlong=overlong))
    with pytest.raises(Refused, match="external data") as caught:
        open_session(trap / "model.onnx", providers=(CPU,), threads=1)
    assert caught.value.reason == "BadModel"


@ENCODINGS
@pytest.mark.parametrize("named", ["private.bin", "../{folder}/private.bin", "{absolute}/private.bin"])
def test_and_would_find_nothing_if_it_did_not(
    trap: Path, overlong: bool, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_runtime, "read_single_file", Path.read_bytes)
    named = named.format(folder=trap.name, absolute=trap)
    (trap / "model.onnx").write_bytes(tiny_model(external=named, overlong=overlong))
    with pytest.raises(Refused) as caught:
        open_session(trap / "model.onnx", providers=(CPU,), threads=1)
    assert caught.value.reason == "BadModel"
    assert Path.cwd() == trap
    assert sorted(os.listdir(trap)) == ["model.onnx", "private.bin"]


def test_a_whole_model_is_let_through() -> None:
    refuse_other_files(tiny_model(layers=3))


def test_every_place_for_a_tensor_is_known() -> None:
    """By the descriptions of the onnx package: whatever may hold a tensor, directly or in its parts, is walked."""
    for name, known in PARTS.items():
        fields = getattr(onnx, name).DESCRIPTOR.fields
        tensors = {field.number: field.message_type.name for field in fields if field.message_type}
        walked = {*PARTS, "TensorProto"}
        assert known == {number: kind for number, kind in tensors.items() if kind in walked}


@pytest.mark.parametrize(
    "place", ["constant", "sparse", "branch", "function"], ids=["constant", "sparse", "branch", "function"]
)
def test_a_tensor_is_found_wherever_it_is(place: str) -> None:
    outside = onnx.TensorProto(name="w", dims=[1], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    constant = onnx.helper.make_node("Constant", [], ["c"], value=outside)
    model = onnx.ModelProto(ir_version=9)
    match place:
        case "constant":
            model.graph.node.append(constant)
        case "sparse":
            model.graph.sparse_initializer.append(onnx.SparseTensorProto(values=outside))
        case "branch":
            inner = onnx.GraphProto(node=[constant])
            model.graph.node.append(onnx.helper.make_node("If", ["x"], ["y"], then_branch=inner))
        case "function":
            model.functions.append(onnx.FunctionProto(node=[constant]))
    with pytest.raises(Refused, match="external data"):
        refuse_other_files(model.SerializeToString())


@pytest.mark.parametrize(
    "content",
    [b"no model at all", b"\x3a\x7f", b"\x08" + b"\x80" * 11, b"\x00\x00", b"\x20\x00\x00\x00ORTM", b"\x0b"],
    ids=["noise", "truncated", "endless number", "no number", "another format", "group"],
)
def test_what_is_no_protocol_buffer_is_a_bad_model(content: bytes) -> None:
    with pytest.raises(Refused, match="no ONNX file"):
        refuse_other_files(content)


def test_endless_nesting_is_a_bad_model() -> None:
    content = b""
    for _ in range(60):
        for number in (6, 5, 1):
            content = bytes([number << 3 | 2]) + _length(content) + content
    with pytest.raises(Refused, match="nested"):
        refuse_other_files(b"\x3a" + _length(content) + content)


def _length(content: bytes) -> bytes:
    return bytes([len(content) & 0x7F | 0x80, len(content) >> 7 & 0x7F | 0x80, len(content) >> 14])
