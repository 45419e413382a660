"""Predictions that wait for their labels: whose they are, and which of them go when there are too many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.runtime.tensors import Array
from plimsoll.telemetry.drift import pending
from plimsoll.telemetry.drift.pending import LabelledPrediction, PendingPredictions, fingerprint

ANN, BOB = "10.0.0.1", "10.0.0.2"


def rows(*values: float) -> dict[str, Array]:
    return {"x": np.array(values, dtype=np.float32)}


@pytest.fixture(autouse=True)
def each_address_in_a_group_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers: dict[str, int] = {}
    monkeypatch.setattr(pending, "hash", lambda value: numbers.setdefault(value, len(numbers)), raising=False)
    monkeypatch.setattr(pending, "fingerprint", lambda inputs: tuple(map(bytes, inputs.values())), raising=True)


def test_a_label_finds_its_prediction_once() -> None:
    memory = PendingPredictions()
    memory.add("a", ["PUMP"], rows(1), ANN, 100.0)
    assert memory.join("a", 0, "HOSE", 160.0) == LabelledPrediction(prediction="PUMP", label="HOSE", late=60.0)
    assert memory.join("a", 0, "HOSE", 161.0) is None
    assert memory.unmatched == 1
    assert len(memory) == 0


def test_each_row_of_a_request_has_its_label() -> None:
    memory = PendingPredictions()
    memory.add("a", ["PUMP", "HOSE"], rows(1, 2), ANN, 0.0)
    assert memory.has("a", 1)
    assert not memory.has("a", 2)
    joined = memory.join("a", 1, "HOSE", 1.0)
    assert joined is not None
    assert joined.prediction == "HOSE"
    assert memory.has("a", 0)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5), st.sampled_from([ANN, BOB]), st.floats(0, 1000))))
def test_the_number_of_waiting_predictions_is_bounded(seen: list[tuple[int, int, str, float]]) -> None:
    memory = PendingPredictions(most=10, oldest=100.0)
    now = 0.0
    for name, count, client, after in seen:
        now += after
        memory.add(str(name), [0] * count, rows(*range(count)), client, now)
        assert len(memory) <= 10
    assert memory.join("none", 0, 1, now) is None


def test_old_predictions_are_removed() -> None:
    memory = PendingPredictions(oldest=100.0)
    memory.add("a", [1], rows(1), ANN, 0.0)
    assert memory.join("a", 0, 1, 101.0) is None
    memory.add("a", [2], rows(2), ANN, 102.0)
    memory.add("b", [3], rows(3), ANN, 203.0)
    assert (len(memory), memory.forgotten) == (1, 2)


def test_another_request_cannot_take_an_id_that_waits() -> None:
    memory = PendingPredictions(oldest=100.0)
    memory.add("a", ["PUMP"], rows(1), ANN, 0.0)

    assert memory.taken("a", rows(2), 1.0)
    assert not memory.taken("a", rows(1), 1.0)
    assert not memory.taken("a", rows(2), 101.0)
    memory.add("a", ["HOSE"], rows(2), BOB, 1.0)
    memory.add("a", ["PUMP"], rows(1), ANN, 2.0)

    assert memory.reused == 1
    joined = memory.join("a", 0, "PUMP", 3.0)
    assert joined is not None
    assert joined.prediction == "PUMP"
    assert not memory.taken("a", rows(2), 4.0)


def test_a_client_with_many_requests_pushes_out_its_own() -> None:
    memory = PendingPredictions(most=100)
    memory.add("ann", [1], rows(1), ANN, 0.0)
    for number in range(500):
        memory.add(f"bob {number}", [1], rows(number), BOB, 1.0)

    assert memory.has("ann", 0)
    assert not memory.has("bob 0", 0)
    assert memory.has("bob 499", 0)


def test_of_one_client_requests_of_many_rows_go_first() -> None:
    memory = PendingPredictions(most=100)
    memory.add("single", [1], rows(1), ANN, 0.0)
    for number in range(5):
        memory.add(f"many {number}", [1] * 60, rows(*range(60)), ANN, 1.0)

    assert memory.has("single", 0)
    assert memory.has("many 4", 0)
    assert len(memory) == 61


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ipv4:10.0.0.1:50000", "ipv4:10.0.0.1:50001", True),
        ("ipv4:10.0.0.1:50000", "10.0.0.1", True),
        ("ipv4:10.0.0.1:50000", "ipv4:10.0.0.2:50000", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", True),
        ("ipv6:%5B2001:db8:1:2::1%5D:5000", "2001:db8:1:2::7", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ],
)
def test_a_client_is_the_same_over_each_protocol_and_from_each_port(one: str, other: str, same: bool) -> None:
    assert (pending._address(one) == pending._address(other)) is same


def test_requests_are_told_apart_by_names_shapes_and_values() -> None:
    inputs = [rows(1, 2), rows(2, 1), {"y": rows(1, 2)["x"]}, {"x": rows(1, 2)["x"].reshape(2, 1)}]
    texts: list[dict[str, Array]] = [{"x": np.array([word], dtype=np.object_)} for word in ("a", "b")]
    assert len({fingerprint(each) for each in [*inputs, *texts]}) == 6
