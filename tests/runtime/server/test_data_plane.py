"""The data plane without a socket: what it answers, and each reason for which it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plimsoll.errors import TargetError
from plimsoll.runtime.server.data_plane import DataPlane, Limits
from plimsoll.runtime.server.observers import Answer, Observer, Observers
from plimsoll.runtime.server.refusals import (
    BadInput,
    Busy,
    DeadlinePassed,
    NotFound,
    NotReady,
    Refusal,
    Unservable,
)
from plimsoll.runtime.server.service_file import ModelFile, ServiceFile
from plimsoll.runtime.server.traffic import Share
from plimsoll.runtime.tensors import Array, BadTensor
from tests.runtime.conftest import ADMIN, linear_model, scaled_model, slow_model
from tests.runtime.server.direct_call import BrokenCall, DirectCall, X, infer, plane_of, record_of


@pytest.fixture
def linear_plane(tmp_path: Path) -> DataPlane:
    return plane_of(linear_model(tmp_path / "model.onnx"))


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slow_model(tmp_path_factory.mktemp("slow") / "model.onnx")


LARGE = {"x": np.ones((64, 1024), dtype=np.float32)}


def test_what_a_front_has_spent_of_a_request_is_taken_from_its_time_limit(linear_plane: DataPlane) -> None:
    call = DirectCall({"x": np.ones((4096, 2), dtype=np.float32)})
    call.spent = linear_plane.limits.seconds

    with pytest.raises(DeadlinePassed):
        infer(linear_plane, call)


def test_an_inference_gives_every_output_and_is_counted(linear_plane: DataPlane) -> None:
    results = infer(linear_plane, DirectCall({"x": X}))

    assert {name: array.tolist() for name, array in results.items()} == {
        "score": [[1.0], [-1.0]],
        "label": [[1], [0]],
    }
    assert record_of(linear_plane).codes == {200: 1}
    assert linear_plane.inferences == 1


def test_a_quick_model_answers_without_being_awaited_and_a_slow_one_is_awaited(
    linear_plane: DataPlane, slow: Path
) -> None:
    assert linear_plane.infer_at_once(DirectCall({"x": X})) is not None
    plane = plane_of(slow)
    call = DirectCall(LARGE)

    assert plane.infer_at_once(call) is None
    assert asyncio.run(plane.infer_later(call))["h24"].shape == (64, 1024)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (DirectCall({"x": X}, model="other"), "there is no model 'other'; this server has 'm'"),
        (DirectCall({"x": X}, version="9"), "there is no version '9'; model 'm' has '3'"),
    ],
)
def test_an_unknown_model_or_version_is_not_found(linear_plane: DataPlane, call: DirectCall, says: str) -> None:
    with pytest.raises(NotFound) as refused:
        infer(linear_plane, call)

    assert str(refused.value) == says


def test_an_unloaded_model_is_not_ready_until_it_is_loaded_again(linear_plane: DataPlane) -> None:
    asyncio.run(linear_plane.unload("m", ADMIN, ""))
    with pytest.raises(NotReady) as refused:
        infer(linear_plane, DirectCall({"x": X}))
    ready_while_unloaded = linear_plane.model_ready("m", None)
    asyncio.run(linear_plane.load("m", ADMIN, ""))

    assert str(refused.value) == "model 'm' is not loaded"
    assert refused.value.retry_after == 1
    assert not ready_while_unloaded
    assert linear_plane.model_ready("m", None)
    assert infer(linear_plane, DirectCall({"x": X}))["score"].tolist() == [[1.0], [-1.0]]


def test_a_model_is_not_ready_while_the_server_drains_and_an_unknown_one_is_not_found(linear_plane: DataPlane) -> None:
    linear_plane.ready = False

    assert not linear_plane.model_ready("m", None)
    with pytest.raises(NotFound):
        linear_plane.model_ready("other", None)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (DirectCall({"x": X[0]}), "input 'x' has the shape [-1, 2], not [2]"),
        (DirectCall({}), "the input x is missing"),
        (DirectCall({"x": X}, outputs=["z"]), "there is no output 'z'; the model has score, label"),
    ],
)
def test_what_the_model_cannot_compute_with_is_bad_input(linear_plane: DataPlane, call: DirectCall, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        infer(linear_plane, call)

    assert str(refused.value) == says
    assert record_of(linear_plane).codes == {400: 1}


def test_beyond_the_queue_a_request_is_refused_as_busy_and_told_when_to_try_again(slow: Path) -> None:
    plane = plane_of(slow, limits=Limits(queue=0))

    with pytest.raises(Busy) as refused:
        infer(plane, DirectCall(LARGE))

    assert str(refused.value) == "the queue of model 'm' is full: 0 requests are waiting"
    assert refused.value.retry_after == 1
    assert record_of(plane).codes == {503: 1}


def test_an_inference_beyond_the_time_limit_has_its_deadline_passed(slow: Path) -> None:
    plane = plane_of(slow, limits=Limits(seconds=0.001))

    with pytest.raises(DeadlinePassed) as refused:
        infer(plane, DirectCall(LARGE))

    assert str(refused.value) == "the model did not answer within 0.001 s"
    assert record_of(plane).codes == {504: 1}


def test_a_source_or_a_model_that_cannot_be_read_is_unservable_and_leaves_the_loaded_one(tmp_path: Path) -> None:
    file = ServiceFile(models=(ModelFile(name="m", version="3", path=str(linear_model(tmp_path / "model.onnx"))),))
    readable = True

    def source() -> ServiceFile:
        if not readable:
            raise TargetError("the service file cannot be read", where="service.json")
        return file

    plane = plane_of(source)
    (tmp_path / "model.onnx").write_bytes(b"rubbish")
    with pytest.raises(Unservable, match="the model cannot be loaded"):
        asyncio.run(plane.load("m", ADMIN, ""))
    readable = False
    for refused in (lambda: asyncio.run(plane.load("m", ADMIN, "")), plane.index):
        with pytest.raises(Unservable, match=r"service\.json: the service file cannot be read"):
            refused()

    assert infer(plane, DirectCall({"x": X}))["label"].tolist() == [[1], [0]]


def test_a_model_that_is_not_configured_cannot_be_loaded_or_unloaded(linear_plane: DataPlane) -> None:
    for change in (linear_plane.load, linear_plane.unload):
        with pytest.raises(NotFound, match="there is no model 'other'"):
            asyncio.run(change("other", ADMIN, ""))


@pytest.mark.parametrize("quick", [True, False])
def test_a_defect_is_no_refusal_and_is_counted_as_one(linear_plane: DataPlane, slow: Path, quick: bool) -> None:
    plane = linear_plane if quick else plane_of(slow)
    rows = {"x": X} if quick else LARGE

    with pytest.raises(RuntimeError, match="a defect of a front"):
        infer(plane, BrokenCall(rows))

    assert record_of(plane).codes == {500: 1}


class Explaining(Observer):
    """Keeps what it observes, and adds an output to requests that ask for it."""

    headers = frozenset({"traceparent"})

    def __init__(self) -> None:
        self.seen: list[Answer] = []

    def answered(self, answers: Sequence[Answer]) -> None:
        self.seen += answers

    def more_outputs(
        self, model: Any, parameters: Mapping[str, Any], inputs: Mapping[str, Array], outputs: Mapping[str, Array]
    ) -> Mapping[str, Array]:
        if parameters.get("explain") == "badly":
            raise BadTensor("this model cannot be explained")
        return {"twice": outputs["score"] * 2}


def test_observers_add_outputs_and_see_answers_and_refusals(tmp_path: Path) -> None:
    observer = Explaining()
    observers = Observers([observer])
    plane = plane_of(linear_model(tmp_path / "model.onnx"), observers=observers)

    results = infer(plane, DirectCall({"x": X}, parameters={"explain": True}, headers={"traceparent": "1", "b": "2"}))
    with pytest.raises(BadInput, match="this model cannot be explained"):
        infer(plane, DirectCall({"x": X}, parameters={"explain": "badly"}))
    observers.close()

    assert results["twice"].tolist() == [[2.0], [-2.0]]
    answered, refused = observer.seen
    assert (answered.status, answered.version, answered.client, answered.headers) == (
        200,
        "3",
        "here",
        {"traceparent": "1"},
    )
    assert answered.outputs["twice"].tolist() == [[2.0], [-2.0]]
    assert (refused.status, refused.reason) == (400, "this model cannot be explained")


def test_headers_choose_the_version_and_a_shadow_computes_a_copy_that_nobody_gets(tmp_path: Path) -> None:
    models = tuple(
        ModelFile(name="m", version=version, path=str(scaled_model(tmp_path / version / "m.onnx", float(version))))
        for version in ("1", "2", "3")
    )
    shares = (
        Share(version="1", weight=100),
        Share(version="2", headers={"cohort": "beta"}),
        Share(version="3", shadow=100),
    )
    plane = plane_of(lambda: ServiceFile(models=models, traffic={"m": shares}))
    copies = plane.catalog.records["m", "3"].copies

    async def both() -> list[dict[str, Array]]:
        answers = [
            await plane.infer(DirectCall({"x": X})),
            await plane.infer(DirectCall({"x": X}, headers={"cohort": "beta"})),
        ]
        async with asyncio.timeout(30):
            while copies.codes != {200: 2}:
                await asyncio.sleep(0.01)
        return answers

    plain, beta = asyncio.run(both())

    assert plain["y"].tolist() == X.tolist()
    assert beta["y"].tolist() == (2 * X).tolist()
    assert record_of(plane, "3").codes == {}


def test_copies_for_a_shadow_are_bounded_by_their_bytes(tmp_path: Path) -> None:
    models = (
        ModelFile(name="m", version="1", path=str(scaled_model(tmp_path / "1" / "m.onnx", 1.0))),
        ModelFile(name="m", version="2", path=str(scaled_model(tmp_path / "2" / "m.onnx", 2.0))),
    )
    shares = (Share(version="1", weight=100), Share(version="2", shadow=100))
    small, large = {"x": np.zeros((10, 2), np.float32)}, {"x": np.zeros((100, 2), np.float32)}
    plane = plane_of(
        lambda: ServiceFile(models=models, traffic={"m": shares}), limits=Limits(memory=4 * 800 - 4, body=100)
    )
    copies = plane.catalog.records["m", "2"].copies

    async def ask() -> None:
        await plane.infer(DirectCall(large))
        assert copies.codes == {503: 1}
        for answered in range(1, 12):
            await plane.infer(DirectCall(small))
            async with asyncio.timeout(30):
                while copies.codes.get(200) != answered:
                    await asyncio.sleep(0.01)

    asyncio.run(ask())
    assert copies.codes == {503: 1, 200: 11}


def test_metadata_has_the_tensors_and_the_loaded_versions(linear_plane: DataPlane) -> None:
    metadata = linear_plane.metadata("m", None)

    assert metadata.versions == ["3"]
    assert [tensor.name for tensor in metadata.spec.inputs] == ["x"]
    assert metadata.spec.classes == ("below", "above")
    assert [(line.name, line.version, line.state) for line in linear_plane.index()] == [("m", "3", "READY")]


def test_every_refusal_is_a_kind_of_its_own_with_a_code_of_an_error() -> None:
    kinds = Refusal.__subclasses__()

    assert len(kinds) == 13
    assert all(400 <= kind.code < 600 and kind.__doc__ for kind in kinds)
