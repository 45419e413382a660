"""The test of a service asks no more than serving does: with shapes that the model takes, or with a given sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from plimsoll.errors import RequestError, TargetError
from plimsoll.runtime import client
from plimsoll.runtime.client import OipMessage, RequestRefused
from plimsoll.runtime.inference_check import MOST_ELEMENTS, Sample, check_inference

Takes = Callable[[Mapping[str, Any]], bool]


class Service:
    """A service that computes with the requests that `takes` accepts, and keeps the shapes of all."""

    def __init__(self, inputs: Mapping[str, list[int]], takes: Takes, datatype: str = "FP32") -> None:
        self.inputs = [{"name": name, "datatype": datatype, "shape": shape} for name, shape in inputs.items()]
        self.takes = takes
        self.shapes: list[dict[str, list[int]]] = []

    def metadata(self, url: str, model: str) -> OipMessage:
        return {"inputs": self.inputs, "outputs": [{"name": "y"}]}

    def infer(self, url: str, model: str, request: Mapping[str, Any]) -> OipMessage:
        given = {tensor["name"]: tensor for tensor in request["inputs"]}
        self.shapes.append({name: tensor["shape"] for name, tensor in given.items()})
        assert all(len(tensor["data"]) == math.prod(tensor["shape"]) for tensor in given.values())
        if not self.takes(given):
            raise RequestRefused(f"the model cannot compute with {len(self.shapes)}")
        return {"outputs": [{"name": "y"}]}


def checked(monkeypatch: pytest.MonkeyPatch, service: Service, sample: Sample | None = None) -> dict[str, list[int]]:
    """The shapes that the service was tested with in the end."""
    monkeypatch.setattr(client, "metadata", service.metadata)
    monkeypatch.setattr(client, "infer", service.infer)
    answered = check_inference("http://here", "m", sample)
    assert answered.seconds >= 0
    assert {tensor["name"]: tensor["shape"] for tensor in answered.request["inputs"]} == service.shapes[-1]
    return service.shapes[-1]


@pytest.mark.parametrize(
    ("inputs", "takes", "shapes"),
    [
        ({"x": [-1, 2]}, lambda given: True, {"x": [1, 2]}),
        ({"x": [1, 2]}, lambda given: True, {"x": [1, 2]}),
        ({"x": []}, lambda given: True, {"x": []}),
        ({"image": [-1, 3, -1, -1]}, lambda given: given["image"]["shape"][3] >= 3, {"image": [1, 3, 4, 4]}),
        ({"image": [-1, -1, -1, 3]}, lambda given: given["image"]["shape"][1] >= 33, {"image": [1, 64, 64, 3]}),
        ({"image": [3, -1, -1]}, lambda given: given["image"]["shape"][1] == 224, {"image": [3, 224, 224]}),
        ({"ids": [-1, -1], "mask": [-1, -1]}, lambda given: given["ids"]["shape"][1] > 4, {"ids": [1, 16]}),
        ({"x": [-1, 2]}, lambda given: given["x"]["shape"][0] == 4, {"x": [4, 2]}),
    ],
)
def test_open_dimensions_grow_until_the_model_takes_them(
    monkeypatch: pytest.MonkeyPatch, inputs: dict[str, list[int]], takes: Takes, shapes: dict[str, list[int]]
) -> None:
    service = Service(inputs, takes)

    assert checked(monkeypatch, service).items() >= shapes.items()
    assert all(sum(map(math.prod, each.values())) <= MOST_ELEMENTS for each in service.shapes)


def test_a_model_that_refuses_all_is_refused_with_its_first_reason_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(RequestError, match="refuses what it was tested with: the model cannot compute with 1") as error:
        checked(monkeypatch, Service({"x": [-1, -1, -1]}, lambda given: False))

    assert "give the service a `sample`" in error.value.hint
    assert error.value.lasting


def test_a_sample_is_sent_as_it_is_and_what_it_leaves_out_is_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service({"a": [-1, -1], "b": [-1, -1]}, lambda given: given["a"]["data"] == [5, 6, 7])

    assert checked(monkeypatch, service, {"a": {"shape": [1, 3], "data": [5, 6, 7]}}) == {"a": [1, 3], "b": [1, 1]}
    with pytest.raises(RequestError, match="refuses"):
        checked(monkeypatch, service, {"a": {"shape": [1, 3]}, "b": {"shape": [1, 1]}})
    assert service.shapes.count({"a": [1, 3], "b": [1, 1]}) == 3


def test_texts_of_a_sample_are_empty_when_they_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service({"x": [-1]}, lambda given: given["x"]["data"] == ["", ""], "BYTES")

    assert checked(monkeypatch, service, {"x": {"shape": [2]}}) == {"x": [2]}


def test_a_sample_of_another_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetError, match="an input 'z' that the model does not have") as error:
        checked(monkeypatch, Service({"x": [1]}, lambda given: True), {"z": {"shape": [1]}})

    assert error.value.hint == "the model has the inputs x"
