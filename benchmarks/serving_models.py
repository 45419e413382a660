"""The models that are served in the benchmark, made here so that every server has the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

COLUMNS = 20
WIDE = 2048


def tabular(path: Path) -> Path:
    """One row of 20 columns to three probabilities, through a hidden layer of 32."""
    draw = np.random.default_rng(1)
    weights = {"w1": (COLUMNS, 32), "b1": (32,), "w2": (32, 3), "b2": (3,)}
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["s"]),
        helper.make_node("Softmax", ["s"], ["probabilities"], axis=-1),
    ]
    return _save(path, nodes, {n: draw.normal(size=s) for n, s in weights.items()}, [None, COLUMNS], [None, 3])


def small_image(path: Path) -> Path:
    """An image of 3×224×224 to ten numbers, through six convolutions: about a millisecond on one core."""
    layers = _Layers(np.random.default_rng(2))
    before = "x"
    for layer in range(6):
        before = layers.convolution(before, 16 * 2 ** min(layer, 3), size=3, stride=2 if layer < 4 else 1)
    return layers.save(path, before, 10)


def mobilenet(path: Path) -> Path:
    """The layers of MobileNetV2 with random weights: 300 million multiplications, about the fewest in common use.

    Source: Sandler et al., 2018, table 2.
    """
    layers = _Layers(np.random.default_rng(6))
    before = layers.convolution("x", 32, size=3, stride=2)
    for expansion, channels, repeats, first in MOBILENET:
        for repeat in range(repeats):
            before = layers.inverted_residual(before, channels, expansion, first if repeat == 0 else 1)
    return layers.save(path, layers.convolution(before, 1280, size=1), 1000)


MOBILENET = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, repeats and first stride of its stages."""


class _Layers:
    """A graph of convolutions that grows from its input."""

    def __init__(self, draw: np.random.Generator) -> None:
        self._draw = draw
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, np.ndarray] = {}
        self._channels = {"x": 3}

    def _add(self, operator: str, inputs: list[str], channels: int, **attributes: object) -> str:
        output = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        self._channels[output] = channels
        return output

    def convolution(
        self, before: str, channels: int, *, size: int, stride: int = 1, groups: int = 1, rectified: bool = True
    ) -> str:
        taken = self._channels[before] // groups
        name = f"w{len(self._nodes)}"
        self._weights[name] = self._draw.normal(size=(channels, taken, size, size)) / (size * taken**0.5)
        after = self._add("Conv", [before, name], channels, strides=[stride] * 2, pads=[size // 2] * 4, group=groups)
        return self._add("Relu", [after], channels) if rectified else after

    def inverted_residual(self, before: str, channels: int, expansion: int, stride: int) -> str:
        wide = expansion * self._channels[before]
        inner = self.convolution(before, wide, size=1) if expansion > 1 else before
        inner = self.convolution(inner, wide, size=3, stride=stride, groups=wide)
        after = self.convolution(inner, channels, size=1, rectified=False)
        same = stride == 1 and self._channels[before] == channels
        return self._add("Add", [before, after], channels) if same else after

    def save(self, path: Path, before: str, classes: int) -> Path:
        channels = self._channels[before]
        self._weights["w"] = self._draw.normal(size=(channels, classes))
        pooled = self._add("GlobalAveragePool", [before], channels)
        flat = self._add("Flatten", [pooled], channels)
        self._nodes.append(helper.make_node("MatMul", [flat, "w"], ["y"]))
        return _save(path, self._nodes, self._weights, [None, 3, 224, 224], [None, classes], output="y")


def wide(path: Path) -> Path:
    """Four square layers of 2,048: each run reads all weights from memory, so that rows are best run together."""
    draw = np.random.default_rng(3)
    weights = {f"w{n}": draw.normal(size=(WIDE, WIDE)) / WIDE**0.5 for n in range(4)}
    nodes = [helper.make_node("MatMul", ["x" if n == 0 else f"h{n}", f"w{n}"], [f"h{n + 1}"]) for n in range(4)]
    nodes.append(helper.make_node("ReduceMean", ["h4"], ["y"], axes=[1], keepdims=1))
    return _save(path, nodes, weights, [None, WIDE], [None, 1], output="y")


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    takes: list[int | None],
    gives: list[int | None],
    output: str = "probabilities",
) -> Path:
    tensors = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()]
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, takes)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, gives)],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
