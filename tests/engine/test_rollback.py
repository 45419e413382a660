"""A service goes back to the version before its last promotion, at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plimsoll.engine.moves import VersionMoved, record_move
from plimsoll.engine.promotion.promoting import Promotion
from plimsoll.engine.promotion.rollback import rollback
from plimsoll.errors import FileError, ModelRefused, PlimsollError, TargetError
from plimsoll.targets.features import Features

from .promotion_in_memory import MoverInMemory, Place, Trouble, register


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Version 2 serves; version 1 did before its promotion."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    mover = MoverInMemory("2")
    mover.formerly = "1"
    place = Place(tmp_path, mover)
    register(place.state)
    register(place.state)
    return place


def rolled_back(place: Place, reference: str | None = None, stopped: Callable[[], bool] = lambda: False) -> Promotion:
    return rollback(place.target, "triage", reference=reference, say=lambda _: None, stopped=stopped)


def test_all_requests_go_back_at_once_and_a_second_rollback_undoes_the_first(place: Place) -> None:
    result = rolled_back(place)

    assert place.asked == [(None, "triage")]
    assert place.mover.done == ["taken", "add", "weigh 100", "settle", "released"]
    assert (result.promoted, result.old, result.new, result.reason) == (True, "2", "1", "rolled back from version 2")
    assert rolled_back(place).new == "2"


def test_a_version_that_is_named_gets_the_requests(place: Place) -> None:
    register(place.state)
    assert rolled_back(place, "triage@3").new == "3"
    assert place.mover.weights == {"3": 100}


def test_a_service_without_a_promotion_has_nothing_to_roll_back_and_says_what_to_name(place: Place) -> None:
    place.mover.formerly = None
    with pytest.raises(PlimsollError, match="has had no promotion that is known here") as refused:
        rolled_back(place)
    assert refused.value.hint == "name the version: plimsoll rollback triage --to triage@VERSION"
    assert place.mover.weights == {"2": 100}


def test_a_service_that_was_ended_and_begun_again_goes_back_to_where_its_moves_say_that_it_came_from(
    place: Place,
) -> None:
    place.mover.formerly = None
    for old, new, moved in (("1", "2", True), ("2", "3", False), ("", "2", True)):
        record_move(
            place.state, VersionMoved(service="triage", model="triage", old=old, new=new, cause="promote", moved=moved)
        )
    assert rolled_back(place).new == "1"


def test_an_interrupted_promotion_is_undone_and_nothing_else_is_moved(place: Place) -> None:
    place.mover.cut_off = True
    result = rolled_back(place)
    assert (result.promoted, result.new, result.reason) == (True, "2", "an interrupted promotion is undone")
    assert place.mover.done == ["taken", "released"]


def test_the_version_in_service_is_refused(place: Place) -> None:
    with pytest.raises(PlimsollError, match="service triage already sends its requests to triage@2"):
        rolled_back(place, "triage@2")


def test_a_version_that_was_not_accepted_is_refused_before_anything_moves(place: Place) -> None:
    register(place.state, metrics={"accuracy": 0.1})
    with pytest.raises(ModelRefused):
        rolled_back(place, "triage@3")
    assert place.mover.weights == {"2": 100}


def test_a_rollback_that_fails_restores_what_served(place: Place) -> None:
    place.mover.trouble = Trouble("weigh 100")
    with pytest.raises(TargetError, match="the cluster does not answer"):
        rolled_back(place)
    assert place.mover.done[-2:] == ["restore", "released"]


def test_a_target_that_moves_no_traffic_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Place, "features", Features("memory", {}, {}))
    with pytest.raises(FileError, match="move a service's traffic"):
        rolled_back(place)
