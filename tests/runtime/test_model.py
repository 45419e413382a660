"""Models that cannot be served say which tensor is why."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from plimsoll.errors import TargetError
from plimsoll.runtime.model import OnnxModel


def model_of(path: Path, value: onnx.ValueInfoProto, result: onnx.ValueInfoProto, kind: str = "Identity") -> Path:
    graph = helper.make_graph([helper.make_node(kind, ["x"], ["y"])], "g", [value], [result])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_a_type_without_a_datatype_is_named(tmp_path: Path) -> None:
    value, result = (helper.make_tensor_value_info(name, TensorProto.BFLOAT16, [1]) for name in "xy")
    with pytest.raises(TargetError, match=r"'x' of the model is a tensor of bfloat16, which is not served") as refused:
        OnnxModel(model_of(tmp_path / "m.onnx", value, result), "m")

    assert refused.value.hint.startswith("cast it inside the model")


def test_what_is_no_tensor_is_named_with_the_remedy(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, [1])
    with pytest.raises(
        TargetError, match=r"'y' of the model has the type seq\(tensor\(float\)\), which is not a"
    ) as bad:
        OnnxModel(model_of(tmp_path / "m.onnx", value, result, "SequenceConstruct"), "m")

    assert "switch ZipMap off" in bad.value.hint
