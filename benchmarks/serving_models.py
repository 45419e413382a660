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


def image(path: Path) -> Path:
    """An image of 3×224×224 to ten numbers, through six convolutions: some milliseconds on one core."""
    draw = np.random.default_rng(2)
    nodes, weights, before, channels = [], {}, "x", 3
    for layer in range(6):
        wide = 16 * 2 ** min(layer, 3)
        weights[f"w{layer}"] = draw.normal(size=(wide, channels, 3, 3)) / (3 * channels**0.5)
        stride = 2 if layer < 4 else 1
        convolution = helper.make_node(
            "Conv", [before, f"w{layer}"], [f"c{layer}"], strides=[stride, stride], pads=[1, 1, 1, 1]
        )
        nodes += [convolution, helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"])]
        before, channels = f"r{layer}", wide
    weights["w"] = draw.normal(size=(channels, 10))
    nodes += [
        helper.make_node("GlobalAveragePool", [before], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    return _save(path, nodes, weights, [None, 3, 224, 224], [None, 10], output="y")


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
