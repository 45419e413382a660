"""Which versions services begin with, and which they move to when a run has registered one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from plimsoll.engine.keeping import chosen_version
from plimsoll.engine.moves import VersionMoved, moves_of, newest_offered, record_move
from plimsoll.engine.taking_over import Intent, intended
from plimsoll.kinds.register import RegisterResult
from plimsoll.kinds.serve import Serve
from plimsoll.registry.versions import Lineage, ModelVersion
from plimsoll.state.directory import StateDirectory
from plimsoll.targets.features import KeptService

UP = KeptService(work=Serve(service="m", model="m@1"), state="up", follows="m")
DOWN = KeptService(work=Serve(service="m", model="m@1"), state="failed", follows="m", reason="it was killed")


def version(number: int) -> ModelVersion:
    lineage = Lineage(run="r", step="train/m", key=f"k{number}")
    return ModelVersion(
        name="m", version=number, digest=f"sha256:{number}", created=datetime(2026, 1, 1, tzinfo=UTC), author="a",
        framework="none", metrics={}, accept={}, accepted=True, refusals=(), lineage=lineage, files={},
    )  # fmt: skip


def intent(
    number: int = 2,
    *,
    accepted: bool = True,
    offered: int = 1,
    waits: bool = False,
    tested: str = "done",
    kept: KeptService = UP,
) -> Intent:
    refusals = () if accepted else ("accuracy is 0.1, expected >= 0.5",)
    registered = RegisterResult(version=number, digest=f"sha256:{number}", accepted=accepted, refusals=refusals)
    return intended("m", kept, "m@1", registered, reference=f"m@{number}", waits=waits, offered=offered, tested=tested)


@pytest.mark.parametrize(
    ("accepted", "leading", "offered", "waits", "chosen"),
    [
        ([], None, 0, False, None),
        ([1, 2], None, 0, False, 2),
        ([1, 2], "1", 1, False, 2),
        ([1, 2], "1", 2, False, 1),
        ([1, 2], "1", 1, True, 1),
        ([2, 3], "1", 3, True, 3),
    ],
    ids=["none is accepted", "never up", "a new one", "rolled back", "it waits for a promotion", "its own is gone"],
)
def test_a_service_begins_where_it_was_unless_there_is_a_version_that_it_never_had(
    accepted: list[int], leading: str | None, offered: int, waits: bool, chosen: int | None
) -> None:
    assert chosen_version([version(each) for each in accepted], leading, offered, waits=waits) == chosen


def test_a_newly_accepted_version_takes_over() -> None:
    assert intent() == Intent(takes_over=True)


def test_a_version_that_misses_its_gate_leaves_the_one_before_and_says_so() -> None:
    found = intent(accepted=False)
    assert not found.takes_over
    assert not found.problem
    assert found.text == "service m goes on with m@1: m@2 is not accepted: accuracy is 0.1, expected >= 0.5"


def test_a_version_that_was_rolled_back_does_not_come_back_by_itself() -> None:
    found = intent(offered=2)
    assert not found.takes_over
    assert "m@2 had its turn before; `plimsoll promote m@2` moves it there" in found.text


def test_a_version_waits_for_its_promotion_where_the_file_says_so() -> None:
    assert intent(waits=True).text == "service m goes on with m@1: m@2 waits for `plimsoll promote m@2`"


def test_a_version_that_failed_its_test_does_not_take_over() -> None:
    found = intent(tested="failed")
    assert found.problem
    assert "the test of m@2 is failed" in found.text


def test_a_service_that_is_down_is_named_with_what_brings_it_back() -> None:
    found = intent(kept=DOWN)
    assert found.problem
    assert found.text == "service m is not up (it was killed); `plimsoll up` brings it back with m@2"


def test_moves_are_kept_in_order_with_what_was_said_against_them(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path)
    assert moves_of(state, "m") == []
    record_move(state, VersionMoved(service="m", model="m", old="", new="1", cause="up"))
    record_move(state, VersionMoved(service="other", model="m", old="", new="7", cause="up"))
    worse = ("failed requests: 9 of 10 — worse",)
    record_move(
        state, VersionMoved(service="m", model="m", old="1", new="3", cause="promote", forced=True, worse=worse)
    )
    lines = [move.line() for _, move in moves_of(state, "m")]
    assert lines[0] == "began with m@1 by plimsoll up"
    assert lines[1].startswith("moved from m@1 to m@3 by plimsoll promote, whatever the comparison said (--force)")
    assert "9 of 10" in lines[1]
    assert newest_offered(state, "m", "m") == 3
    assert newest_offered(state, "m", "another") == 0
    with state.moves.open("a") as file:
        file.write('{"cut": ')
    assert len(moves_of(state, "m")) == 2
