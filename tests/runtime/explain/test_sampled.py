from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from plimsoll.errors import PlimsollError
from plimsoll.runtime.explain.matrices import as_inputs, as_matrix, explained_output, widths_of
from plimsoll.runtime.explain.sampled import MOST_BACKGROUND, Budget, Effort, Sampler
from plimsoll.runtime.explain.shap_process import sampler_of
from plimsoll.runtime.explain.summary import summary
from plimsoll.runtime.specs import ModelSpec, TensorSpec
from plimsoll.runtime.tensors import BadTensor
from tests.runtime.conftest import Server, linear_model, save
from tests.runtime.explain.test_explain import tree_model

# Asked for without importing it: how it is imported is a part of what is tested.
needs_shap = pytest.mark.skipif(find_spec("shap") is None, reason="the extra 'shap' is not installed")


def budget(evaluations: int, seconds: float = 20.0) -> Budget:
    return Budget(evaluations=evaluations, seconds=seconds)


def spec(*inputs: tuple[str, str, tuple[int, ...]], outputs: tuple[str, ...] = ("FP32",)) -> ModelSpec:
    return ModelSpec(
        name="m",
        inputs=tuple(TensorSpec(name=name, datatype=datatype, shape=shape) for name, datatype, shape in inputs),
        outputs=tuple(TensorSpec(name=f"y{n}", datatype=datatype, shape=(-1, 1)) for n, datatype in enumerate(outputs)),
    )


@pytest.mark.parametrize(
    ("evaluations", "features", "rows", "background", "permutations"),
    [(5000, 10, 1000, 50, 4), (5000, 10, 8, 8, 29), (21, 10, 1000, 1, 1), (1049, 10, 1000, 49, 1)],
)
def test_a_budget_buys_background_first_and_then_permutations(
    evaluations: int, features: int, rows: int, background: int, permutations: int
) -> None:
    found = Effort.of(budget(evaluations), features, rows)
    assert (found.background, found.permutations) == (background, permutations)
    assert found.background * found.permutations * (2 * features + 1) <= evaluations


def test_a_budget_that_buys_nothing_is_refused_with_what_it_would_take() -> None:
    with pytest.raises(BadTensor, match="10 features need a budget of 21 evaluations at least, not 20"):
        Effort.of(budget(20), 10, 100)


def test_inputs_become_one_matrix_and_come_back_in_their_own_types() -> None:
    model = spec(("x", "FP32", (-1, 2)), ("n", "INT64", (-1, 1)), ("flag", "BOOL", (-1,)))
    inputs = {
        "x": np.array([[1.5, np.nan], [3, 4]], dtype=np.float32),
        "n": np.array([[7], [-2]]),
        "flag": np.array([True, False]),
    }
    matrix = as_matrix(model, inputs)
    assert matrix.shape == (2, 4)
    back = as_inputs(model, widths_of(model, inputs), matrix)
    for name, array in inputs.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (spec(("text", "BYTES", (-1, 1))), "need numbers, and input 'text' is BYTES"),
        (spec(("image", "FP32", (-1, 3, 8, 8))), "two dimensions, 'image' has 4"),
    ],
)
def test_a_model_of_something_else_than_rows_of_numbers_is_refused(model: ModelSpec, said: str) -> None:
    with pytest.raises(BadTensor, match=said):
        as_matrix(model, {tensor.name: np.zeros((1, *([1] * (len(tensor.shape) - 1)))) for tensor in model.inputs})


def test_the_output_that_is_explained_is_the_only_one_of_floats_or_the_named_one() -> None:
    assert explained_output(spec(outputs=("INT64", "FP32"))) == "y1"
    assert explained_output(spec(outputs=("FP32", "FP64")), "y0") == "y0"
    for outputs, name in ((("FP32", "FP64"), ""), (("INT64",), ""), (("FP32",), "z"), (("INT64", "FP32"), "y0")):
        with pytest.raises(BadTensor):
            explained_output(spec(outputs=outputs), name)


def product_model(path: Path) -> Path:
    """y = a · b + c, and its negative: what a and b contribute depends on each other."""
    nodes = [helper.make_node("Gather", ["x", name], [f"column_{name}"], axis=1) for name in ("a", "b", "c")] + [
        helper.make_node("Mul", ["column_a", "column_b"], ["ab"]),
        helper.make_node("Add", ["ab", "column_c"], ["first"]),
        helper.make_node("Neg", ["first"], ["second"]),
        helper.make_node("Concat", ["first", "second"], ["y"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
        [numpy_helper.from_array(np.array([n]), name) for n, name in enumerate(("a", "b", "c"))],
    )
    return save(path, graph, features=["a", "b", "c"])


def table(path: Path, names: str, rows: np.ndarray) -> Path:
    path.write_text("\n".join([names, *(",".join(map(str, row)) for row in rows.tolist())]) + "\n")
    return path


@needs_shap
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_base_and_contributions_add_up_to_the_output_and_no_budget_is_exceeded(tmp_path: Path) -> None:
    rows = np.random.default_rng(3).normal(size=(60, 3)).astype(np.float32)
    sampler = sampler_of(product_model(tmp_path / "m.onnx"), table(tmp_path / "t.csv", "a,b,c", rows), budget(2000))
    asked = np.array([[1.0, 2.0, 3.0], [0.0, -4.0, 0.5]])
    values, base = sampler.explain(asked)
    expected = asked[:, 0] * asked[:, 1] + asked[:, 2]
    assert values.shape == (2, 2, 3)
    np.testing.assert_allclose(values.sum(axis=2) + base, np.column_stack([expected, -expected]), atol=1e-4)
    assert sampler.evaluated <= 2 * 2000
    # What does not depend on other features is exact: c contributes its distance from the background's mean.
    some = rows[np.linspace(0, 59, MOST_BACKGROUND).round().astype(int)]
    np.testing.assert_allclose(values[:, 0, 2], asked[:, 2] - some[:, 2].mean(), atol=1e-4)
    again, _ = sampler.explain(asked)
    np.testing.assert_array_equal(values, again)


@needs_shap
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_takes_longer_than_its_seconds_ends_and_says_how_far_it_came() -> None:
    def slow(matrix: np.ndarray) -> np.ndarray:
        time.sleep(0.05)
        return np.asarray(matrix.sum(axis=1, keepdims=True))

    sampler = Sampler(slow, np.random.default_rng(1).normal(size=(10, 4)), budget(90, seconds=0.3))
    with pytest.raises(BadTensor, match=r"40 rows cannot be explained within the budget of 0\.3 s: \d+ were"):
        sampler.explain(np.ones((40, 4)))


@needs_shap
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_table_without_rows_and_a_model_of_texts_have_no_sampler(tmp_path: Path) -> None:
    path = product_model(tmp_path / "m.onnx")
    with pytest.raises(PlimsollError, match="no rows"):
        sampler_of(path, table(tmp_path / "t.csv", "a,b,c", np.zeros((0, 3))), budget(2000))
    with pytest.raises(PlimsollError, match="lacks the columns c"):
        sampler_of(path, table(tmp_path / "t.csv", "a,b", np.zeros((2, 2))), budget(2000))
    given = ["--background", str(tmp_path / "t.csv"), "--evaluations", "2000", "--seconds", "5"]
    checked = subprocess.run(
        [sys.executable, "-m", "plimsoll.runtime.explain.shap_process", "--check", "--model", str(path), *given],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 1
    assert "lacks the columns c" in checked.stderr
    assert "Traceback" not in checked.stderr


@needs_shap
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_explanations_over_a_table_are_summed_up_by_trees_or_by_shap(tmp_path: Path) -> None:
    rows = np.random.default_rng(2).normal(size=(1203, 2)).astype(np.float32)
    path = table(tmp_path / "rows.csv", "left,right", rows)
    trees = summary(tree_model(tmp_path / "trees.onnx"), path)
    assert (trees.rows, trees.total > 0) == (401, True)
    assert "exact SHAP values of trees" in trees.method
    linear = summary(linear_model(tmp_path / "linear.onnx"), path)
    assert "permutations" in linear.method
    assert [name for name, _ in linear.features] == ["right", "left"]
    assert dict(linear.features)["right"] == pytest.approx(2 * np.abs(rows[:, 1] - rows[:, 1].mean()).mean(), rel=0.4)
    with pytest.raises(PlimsollError, match="no rows"):
        summary(tmp_path / "linear.onnx", table(tmp_path / "none.csv", "left,right", np.zeros((0, 2))))


def explaining(server: Server) -> list[int]:
    """The processes that explain for a server."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == server.process.pid and b"shap_process" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@needs_shap
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_a_service_explains_a_model_of_no_trees_in_a_process_beside_it_that_may_be_killed(tmp_path: Path) -> None:
    background = table(tmp_path / "rows.csv", "left,right", np.arange(20).reshape(10, 2) / 10)
    settings = {"explain": {"background": str(background), "evaluations": 500, "seconds": 5.0}}
    option = f"plimsoll.telemetry.service:watch={msgspec.json.encode(settings).decode()}"
    server = Server(linear_model(tmp_path / "m.onnx"), tmp_path, "--observer", option)
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [3, 1]}]}

    def ask(rows: int = 1, **more: object) -> tuple[int, dict[str, list[float]], str]:
        tensor = {**body["inputs"][0], "shape": [rows, 2], "data": [3, 1] * rows}
        while True:
            found = server.client.post("/v2/models/m/infer", json={"inputs": [tensor], **more}, timeout=60)
            if found.status_code not in (503, 504):
                break
            time.sleep(0.5)
        told = found.json()
        return (
            found.status_code,
            {each["name"]: each["data"] for each in told.get("outputs", ())},
            told.get("error", ""),
        )

    try:
        status, outputs, _ = ask(parameters={"explain": True})
        assert status == 200
        means = np.arange(20).reshape(10, 2).mean(axis=0) / 10
        assert outputs["contributions"] == pytest.approx([3 - means[0], -2 * (1 - means[1])], abs=1e-4)
        assert sum(outputs["contributions"]) + outputs["contributions_base"][0] == pytest.approx(
            outputs["score"][0], abs=1e-4
        )
        (process,) = explaining(server)
        os.kill(process, signal.SIGKILL)
        status, again, _ = ask(parameters={"explain": True})
        assert (status, again["contributions"]) == (200, outputs["contributions"])
        status, _, reason = ask(rows=101, parameters={"explain": True})
        assert (status, "at most 100" in reason) == (400, True)
        assert "contributions" not in ask()[1]
        (process,) = explaining(server)
        server.process.kill()
        server.process.wait()
        wait_for(lambda: not Path(f"/proc/{process}").exists())
    finally:
        server.process.kill()
        server.process.communicate()
        server.client.close()
