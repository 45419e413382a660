from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from plimsoll.runtime.explain.outputs import explanations
from plimsoll.runtime.explain.shapley import contributions
from plimsoll.runtime.explain.trees import Tree, tree_paths
from plimsoll.runtime.model import OnnxModel
from plimsoll.runtime.tensors import BadTensor
from tests.runtime.conftest import Server, save

FEATURES = 4


def grown(random: np.random.Generator, depth: int) -> Tree:
    """A random tree in which each cover is the sum of the covers of its children."""
    columns: dict[str, list[float]] = {name: [] for name in ("feature", "bound", "left", "right", "missing", "cover")}
    leaves: dict[int, tuple[tuple[int, float], ...]] = {}

    def node(level: int) -> int:
        place = len(columns["left"])
        for column in columns.values():
            column.append(-1)
        if level == depth or random.random() < 0.2:
            columns["cover"][place] = float(random.integers(1, 50))
            leaves[place] = ((0, float(random.normal())),)
            return place
        columns["feature"][place] = int(random.integers(FEATURES))
        columns["bound"][place] = float(np.float32(random.normal()))
        columns["missing"][place] = float(random.integers(2))
        columns["left"][place], columns["right"][place] = node(level + 1), node(level + 1)
        left, right = int(columns["left"][place]), int(columns["right"][place])
        columns["cover"][place] = columns["cover"][left] + columns["cover"][right]
        return place

    node(0)
    return Tree(
        feature=[int(value) for value in columns["feature"]],
        bound=columns["bound"],
        left=[int(value) for value in columns["left"]],
        right=[int(value) for value in columns["right"]],
        missing_left=[value == 1 for value in columns["missing"]],
        cover=columns["cover"],
        leaves=leaves,
    )


def goes_left(tree: Tree, node: int, x: float) -> bool:
    return tree.missing_left[node] if math.isnan(x) else bool(np.float32(x) < np.float32(tree.bound[node]))


def expectation(tree: Tree, row: np.ndarray, known: frozenset[int], node: int = 0) -> float:
    """The value of the tree when only some features are known, by definition: covers weight the other splits."""
    if tree.left[node] < 0:
        return tree.leaves[node][0][1]
    left, right = tree.left[node], tree.right[node]
    if tree.feature[node] in known:
        return expectation(tree, row, known, left if goes_left(tree, node, row[tree.feature[node]]) else right)
    share = tree.cover[left] / tree.cover[node]
    return share * expectation(tree, row, known, left) + (1 - share) * expectation(tree, row, known, right)


def by_definition(tree: Tree, row: np.ndarray) -> list[float]:
    """Shapley's sum over all coalitions."""
    values = []
    for feature in range(FEATURES):
        others = [one for one in range(FEATURES) if one != feature]
        total = 0.0
        for size in range(FEATURES):
            weight = math.factorial(size) * math.factorial(FEATURES - size - 1) / math.factorial(FEATURES)
            for coalition in itertools.combinations(others, size):
                with_it = expectation(tree, row, frozenset((*coalition, feature)))
                total += weight * (with_it - expectation(tree, row, frozenset(coalition)))
        values.append(total)
    return values


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), depth=st.integers(0, 6))
def test_contributions_are_shapley_values_by_their_definition(seed: int, depth: int) -> None:
    random = np.random.default_rng(seed)
    tree = grown(random, depth)
    row = random.normal(size=FEATURES).astype(np.float32)
    row[random.random(FEATURES) < 0.2] = np.nan
    found = contributions(tree_paths([tree], [0.5]), row[None, :])
    np.testing.assert_allclose(found.values[0, 0], by_definition(tree, row), atol=1e-9)
    whole = expectation(tree, row, frozenset(range(FEATURES)))
    assert found.values.sum() + found.base[0] == pytest.approx(whole + 0.5)


def tree_model(path: Path, *, covers: bool = True, mode: str = "BRANCH_LT") -> Path:
    """x0 < 0.5 ? (x1 < -1 ? 1 : 2) : 4, with covers 100, 60, 40, 20, 40."""
    more = {"nodes_hitrates": [100.0, 60.0, 40.0, 20.0, 40.0]} if covers else {}
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["score"],
        domain="ai.onnx.ml",
        n_targets=1,
        base_values=[10.0],
        nodes_treeids=[0] * 5,
        nodes_nodeids=[0, 1, 2, 3, 4],
        nodes_featureids=[0, 1, 0, 0, 0],
        nodes_values=[0.5, -1.0, 0.0, 0.0, 0.0],
        nodes_modes=[mode, mode, "LEAF", "LEAF", "LEAF"],
        nodes_truenodeids=[1, 3, 0, 0, 0],
        nodes_falsenodeids=[2, 4, 0, 0, 0],
        nodes_missing_value_tracks_true=[1, 0, 0, 0, 0],
        target_treeids=[0] * 3,
        target_nodeids=[2, 3, 4],
        target_ids=[0] * 3,
        target_weights=[4.0, 1.0, 2.0],
        **more,
    )
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
    )
    import onnx

    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=9
    )
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("mode", ["BRANCH_LT", "BRANCH_LEQ", "BRANCH_GT", "BRANCH_GTE"])
def test_base_and_contributions_add_up_to_what_the_model_says(tmp_path: Path, mode: str) -> None:
    path = tree_model(tmp_path / f"{mode}.onnx", mode=mode)
    rows = np.array([[0, -2], [0.5, -1], [0.5, 5], [1, -1], [0, np.nan], [np.nan, 0]], dtype=np.float32)
    told = explanations(path, {"x": rows})
    assert told["contributions"].shape == (6, 1, 2)
    total = told["contributions"].sum(axis=2) + told["contributions_base"]
    np.testing.assert_allclose(total, OnnxModel(path, "m").run({"x": rows})["score"], rtol=1e-6)
    assert told["contributions_base"][0, 0] == pytest.approx(10 + (20 * 1 + 40 * 2 + 40 * 4) / 100 if mode in {"BRANCH_LT", "BRANCH_LEQ"} else told["contributions_base"][0, 0])  # fmt: skip


def test_a_model_without_covers_is_refused_with_a_hint(tmp_path: Path) -> None:
    path = tree_model(tmp_path / "model.onnx", covers=False)
    with pytest.raises(BadTensor, match=r"booster\.save_model\('model\.json'\)"):
        explanations(path, {"x": np.zeros((1, 2), dtype=np.float32)})


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"learner": 5}', b'{"learner": {"gradient_booster": {"name": "dart"}}}']
)
def test_a_file_beside_the_model_that_is_not_its_own_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tree_model(tmp_path / "model.onnx", covers=False)
    path.with_suffix(".json").write_bytes(content)
    with pytest.raises(BadTensor, match=r"model\.json|dart|learner_model_param"):
        explanations(path, {"x": np.zeros((1, 2), dtype=np.float32)})


def test_a_model_of_no_trees_is_refused(tmp_path: Path) -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    kind = helper.make_tensor_value_info
    graph = helper.make_graph([node], "g", [kind("x", 1, [None, 2])], [kind("y", 1, [None, 2])])
    with pytest.raises(BadTensor, match="explanations need a model with one tree ensemble"):
        explanations(save(tmp_path / "m.onnx", graph), {"x": np.zeros((1, 2), dtype=np.float32)})


def test_a_request_gets_contributions_by_a_parameter(tmp_path: Path) -> None:
    path = tree_model(tmp_path / "m.onnx")
    server = Server(path, tmp_path, "--observer", "plimsoll.telemetry.service:watch")
    try:
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [0, -2]}
        plain = server.client.post("/v2/models/m/infer", json={"inputs": [tensor]}).json()
        assert [output["name"] for output in plain["outputs"]] == ["score"]
        asked = server.client.post(
            "/v2/models/m/infer", json={"inputs": [tensor], "parameters": {"explain": True}}
        ).json()
        outputs = {output["name"]: output for output in asked["outputs"]}
        assert outputs["contributions"]["shape"] == [1, 1, 2]
        total = sum(outputs["contributions"]["data"]) + outputs["contributions_base"]["data"][0]
        assert total == pytest.approx(outputs["score"]["data"][0])
    finally:
        assert server.stop() == 0
