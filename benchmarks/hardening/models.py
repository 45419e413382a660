"""The models of the server under attack: each gives back what it takes, so that every value of an answer is known."""

from __future__ import annotations

from pathlib import Path
from random import Random

import onnx
from onnx import TensorProto, helper

from benchmarks import serving_models

IDENTITIES: dict[str, int] = {
    "BOOL": TensorProto.BOOL,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
FEATURES, TREES, DEPTH = 20, 100, 6


def repository(directory: Path) -> Path:
    """A directory of models: `m`, one for each datatype by its name in small letters, `pair`, and `forest`."""
    serving_models.tabular(_place(directory, "m"))
    for datatype, kind in IDENTITIES.items():
        _identity(_place(directory, datatype.lower()), {"x": kind})
    _identity(_place(directory, "pair"), {"a": TensorProto.INT64, "b": TensorProto.STRING})
    _forest(_place(directory, "forest"))
    return directory


def _place(directory: Path, name: str) -> Path:
    path = directory / name / "1" / "model.onnx"
    path.parent.mkdir(parents=True)
    return path


def _identity(path: Path, kinds: dict[str, int]) -> None:
    """Gives each input `x` back as `x_out`; both have two open dimensions."""
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in kinds]
    inputs = [helper.make_tensor_value_info(name, kind, [None, None]) for name, kind in kinds.items()]
    outputs = [helper.make_tensor_value_info(f"{name}_out", kind, [None, None]) for name, kind in kinds.items()]
    graph = helper.make_graph(nodes, "identity", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def _forest(path: Path) -> None:
    """A regressor of full trees with random splits, which is costly to explain."""
    random, inner, nodes = Random(4), 2**DEPTH - 1, 2 ** (DEPTH + 1) - 1
    places = [(tree, node) for tree in range(TREES) for node in range(nodes)]
    leaves = [(tree, node) for tree, node in places if node >= inner]
    split = [node < inner for _, node in places]
    ensemble = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=1,
        nodes_treeids=[tree for tree, _ in places],
        nodes_nodeids=[node for _, node in places],
        nodes_modes=["BRANCH_LT" if inside else "LEAF" for inside in split],
        nodes_featureids=[random.randrange(FEATURES) if inside else 0 for inside in split],
        nodes_values=[random.gauss(0, 1) if inside else 0.0 for inside in split],
        nodes_truenodeids=[2 * node + 1 if node < inner else 0 for _, node in places],
        nodes_falsenodeids=[2 * node + 2 if node < inner else 0 for _, node in places],
        nodes_hitrates=[float(2 ** (DEPTH + 1 - (node + 1).bit_length())) for _, node in places],
        target_treeids=[tree for tree, _ in leaves],
        target_nodeids=[node for _, node in leaves],
        target_ids=[0] * len(leaves),
        target_weights=[random.gauss(0, 1) for _ in leaves],
    )
    graph = helper.make_graph(
        [ensemble],
        "forest",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, FEATURES])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
