"""The course of a promotion: whatever ends it, the service is settled or restored, and that once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from plimsoll.engine.moves import moves_of
from plimsoll.engine.promotion import promoting
from plimsoll.engine.promotion.promoting import Pace, Promotion, promote
from plimsoll.errors import FileError, ModelRefused, PlimsollError, TargetError
from plimsoll.targets.features import Features

from .promotion_in_memory import MoverInMemory, Place, Trouble, register

PACE = Pace(steps=(10, 50, 100), requests=100, hold=0.0, limit=30.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(promoting, "POLL_INTERVAL", 0.0)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Versions 1 and 2 are registered, version 1 serves."""
    place = Place(tmp_path, MoverInMemory())
    register(place.state)
    register(place.state)
    return place


def carried_out(
    place: Place,
    reference: str = "triage@2",
    *,
    pace: Pace = PACE,
    said: list[str] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Promotion:
    say = said.append if said is not None else lambda _: None
    return promote(place.target, reference, service=None, pace=pace, say=say, stopped=stopped)


def stopped_at(mover: MoverInMemory, act: str) -> Callable[[], bool]:
    """Ctrl-C while the mover does that."""
    caught: list[str] = []
    mover.trouble = lambda name: caught.append(name) if name == act else None
    return lambda: bool(caught)


def test_a_version_that_is_no_worse_gets_all_requests_step_by_step_and_is_settled(place: Place) -> None:
    said: list[str] = []
    result = carried_out(place, said=said)

    assert place.mover.done == ["taken", "add", "weigh 10", "weigh 50", "weigh 100", "settle", "released"]
    assert (result.promoted, result.weight, result.old, result.new) == (True, 100, "1", "2")
    assert result.reason == "no worse at any step"
    assert len(result.judgements) == 2
    assert [line for line in said if "%" in line and "requests go" in line] == [
        "10 % of the requests go to triage@2",
        "50 % of the requests go to triage@2",
        "100 % of the requests go to triage@2",
    ]


def test_the_service_that_is_named_is_the_one_that_is_asked_for(place: Place) -> None:
    promote(place.target, "triage@2", service="triage", pace=PACE, say=lambda _: None)
    assert place.asked == [("triage", "triage")]


def test_one_step_of_all_requests_asks_nothing_before(place: Place) -> None:
    assert carried_out(place, pace=Pace(steps=(100,))).judgements == ()
    assert place.mover.done == ["taken", "add", "weigh 100", "settle", "released"]


def test_a_version_that_fails_more_goes_back_with_its_numbers(place: Place) -> None:
    place.mover.failing = {"2": 0.5}
    result = carried_out(place)

    assert place.mover.done == ["taken", "add", "weigh 10", "restore", "released"]
    assert place.mover.weights == {"1": 100}
    assert (result.promoted, result.weight) == (False, 0)
    assert "failed requests: 50 of 100 (50.00%) against 0 of 900" in result.reason
    assert result.judgements[-1].worse


def test_a_version_that_gets_worse_at_a_later_step_goes_back_from_there(place: Place) -> None:
    def failing(name: str) -> None:
        place.mover.failing = {"2": 0.2} if place.mover.weights.get("2") == 50 else {}

    place.mover.trouble = failing
    assert "failed requests" in carried_out(place).reason
    assert place.mover.done == ["taken", "add", "weigh 10", "weigh 50", "restore", "released"]


def test_a_version_whose_figures_from_training_are_worse_goes_back(place: Place) -> None:
    register(place.state, metrics={"accuracy": 0.6})
    assert "accuracy: 0.6 against 0.9" in carried_out(place, "triage@3").reason
    assert place.mover.done[-2:] == ["restore", "released"]


def test_a_forced_promotion_is_told_what_is_worse_and_goes_on_without_waiting_for_requests(place: Place) -> None:
    place.mover.failing = {"2": 0.5}
    said: list[str] = []
    pace = Pace(steps=(10, 100), requests=10**9, hold=0.0, limit=30.0, forced=True)
    result = carried_out(place, pace=pace, said=said)

    assert place.mover.done == ["taken", "add", "weigh 10", "weigh 100", "settle", "released"]
    assert result.promoted
    assert result.reason.startswith(
        "forced, whatever the comparison says, although it is worse: failed requests: 50 of"
    )
    assert any(line.endswith("— worse") for line in said)
    ((_, move),) = moves_of(place.state, "triage")
    assert (move.cause, move.moved, move.forced, move.old, move.new) == ("promote", True, True, "1", "2")
    assert len(move.worse) == 1


def test_a_promotion_that_goes_back_is_remembered_with_its_reason(place: Place) -> None:
    place.mover.failing = {"2": 0.5}
    carried_out(place)
    ((_, move),) = moves_of(place.state, "triage")
    assert (move.moved, move.forced) == (False, False)
    assert "failed requests" in move.line()


def test_a_forced_version_must_still_be_accepted(place: Place) -> None:
    register(place.state, metrics={"accuracy": 0.4})
    with pytest.raises(ModelRefused):
        carried_out(place, "triage@3", pace=Pace(forced=True))


def test_too_few_requests_within_the_limit_are_no_proof(place: Place) -> None:
    result = carried_out(place, pace=Pace(steps=(10, 100), requests=10**9, hold=0.0, limit=0.0))
    assert result.reason == "a version got fewer than 1000000000 requests within 0 s"
    assert place.mover.done == ["taken", "add", "weigh 10", "restore", "released"]


def test_a_step_lasts_as_long_as_it_is_to_hold(place: Place) -> None:
    acts: list[str] = []
    place.mover.trouble = acts.append
    carried_out(place, pace=Pace(steps=(50, 100), requests=1, hold=0.05, limit=30.0))
    assert acts.count("counts") > 2, "one base and one look are not all that was looked in that time"


@pytest.mark.parametrize(
    ("act", "weighed"),
    [("add", []), ("weigh 10", ["weigh 10"]), ("weigh 50", ["weigh 10", "weigh 50"]),
     ("weigh 100", ["weigh 10", "weigh 50", "weigh 100"]), ("counts", ["weigh 10"])],
)  # fmt: skip
def test_an_interrupt_at_any_moment_before_the_end_restores_and_changes_nothing_more(
    place: Place, act: str, weighed: list[str]
) -> None:
    result = carried_out(place, stopped=stopped_at(place.mover, act))
    assert (result.reason, result.weight) == ("interrupted", 0)
    assert place.mover.done == ["taken", "add", *weighed, "restore", "released"]


def test_an_interrupt_while_the_new_version_is_settled_comes_too_late(place: Place) -> None:
    assert carried_out(place, stopped=stopped_at(place.mover, "settle")).promoted
    assert place.mover.done[-2:] == ["settle", "released"]


def test_a_version_that_is_worse_is_told_of_as_worse_although_it_was_interrupted_too(place: Place) -> None:
    place.mover.failing = {"2": 0.5}
    assert "failed requests" in carried_out(place, stopped=stopped_at(place.mover, "counts")).reason


@pytest.mark.parametrize("act", ["add", "weigh 10", "weigh 50", "weigh 100", "counts", "settle"])
def test_whatever_the_mover_raises_the_service_is_restored_once_and_the_error_is_told(place: Place, act: str) -> None:
    place.mover.trouble = Trouble(act)
    with pytest.raises(TargetError, match="the cluster does not answer"):
        carried_out(place)
    assert place.mover.done.count("restore") == 1
    assert place.mover.done[-2:] == ["restore", "released"]
    assert place.mover.weights == {"1": 100}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError(), OSError(28, "No space left on device")])
def test_an_interrupt_of_python_and_a_defect_restore_too(place: Place, error: BaseException) -> None:
    place.mover.trouble = Trouble("counts", error, time=3)
    with pytest.raises(type(error)):
        carried_out(place)
    assert place.mover.done[-2:] == ["restore", "released"]


@pytest.mark.parametrize("error", [TargetError("the cluster is gone"), OSError(28, "No space left on device")])
def test_what_could_not_be_restored_is_told_with_the_reason_of_the_end_and_what_to_do(
    place: Place, error: Exception
) -> None:
    place.mover.failing = {"2": 0.5}
    place.mover.trouble = Trouble("restore", error)
    with pytest.raises(TargetError) as caught:
        carried_out(place)
    told = str(caught.value)
    assert "failed requests: 50 of 100" in told
    assert "the cluster is gone" in told or "No space left" in told
    assert "the next plimsoll promote restores them first" in told
    assert place.mover.done[-2:] == ["restore", "released"]


def test_a_restore_that_fails_after_an_error_tells_both(place: Place) -> None:
    def trouble(name: str) -> None:
        if name in ("weigh 50", "restore"):
            raise TargetError(f"no {name}")

    place.mover.trouble = trouble
    with pytest.raises(TargetError, match=r"has ended \(no weigh 50\).*could not be restored: no restore"):
        carried_out(place)
    assert place.mover.done.count("restore") == 1


def test_a_promotion_that_was_cut_off_before_is_told_of(place: Place) -> None:
    place.mover.cut_off = True
    said: list[str] = []
    assert carried_out(place, said=said).promoted
    assert said[0] == "an earlier promotion into service triage was interrupted: the weights are restored"


def test_a_second_promotion_is_refused_and_changes_nothing(place: Place) -> None:
    place.mover.busy = True
    with pytest.raises(PlimsollError, match="another promotion"):
        carried_out(place)
    assert place.mover.done == []


def test_the_version_that_serves_already_is_refused_and_nothing_is_changed(place: Place) -> None:
    with pytest.raises(PlimsollError, match="service triage already sends its requests to triage@1"):
        carried_out(place, "triage@1")
    assert place.mover.done == ["taken", "released"]


def test_a_version_of_before_that_this_machine_does_not_know_is_refused_before_anything_is_changed(
    place: Place,
) -> None:
    place.mover.weights = {"7": 100}
    with pytest.raises(PlimsollError, match="triage@7"):
        carried_out(place)
    assert place.mover.done == ["taken", "released"]


def test_a_version_that_missed_its_acceptance_is_refused_before_the_service_is_looked_for(place: Place) -> None:
    register(place.state, metrics={"accuracy": 0.4})
    with pytest.raises(ModelRefused):
        carried_out(place, "triage@3")
    assert place.asked == []


def test_an_unknown_version_is_refused_before_the_service_is_looked_for(place: Place) -> None:
    with pytest.raises(PlimsollError, match="triage@9"):
        carried_out(place, "triage@9")
    assert place.asked == []


def test_a_target_that_cannot_move_traffic_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Place, "features", Features("edge", {}, {"traffic": "it has one version at a time"}))
    with pytest.raises(FileError, match="edge cannot move a service's traffic to a version: it has one version"):
        carried_out(place)
