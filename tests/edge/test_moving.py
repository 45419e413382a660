"""Devices that go to another group by their labels, whatever they have missed in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plimsoll.edge.place import STATE_TAG, EdgePlace
from plimsoll.errors import FileError
from plimsoll.registry.problems import RegistryError
from plimsoll.registry.references import parse_reference
from tests.edge.groups import Fleets
from tests.servers import registry

SELECTORS = {"north": {"site": "north"}, "south": {"site": "south"}, "east": {"site": "east"}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry"), in_memory=True) as found:
        yield found.host


@pytest.fixture
def fleets(tmp_path: Path, place: str) -> Iterator[Fleets]:
    name = f"t{abs(hash(tmp_path.name)) % 10**8}"
    made = Fleets(tmp_path, f"{place}/{name}", SELECTORS)
    made.release("north", "south")
    yield made
    made.close()


def test_a_device_goes_to_the_group_of_its_new_labels_and_serves_what_that_runs(fleets: Fleets) -> None:
    cab = fleets.device("north", "cab-1")
    cab.agent.sync()
    assert fleets.owners["north"].listen().devices["cab-1"].report.release == 1  # type: ignore[union-attr]

    fleets.release("south")
    assert fleets.groups.label("north", "cab-1", ["site=south", "floor=2"]) == (
        {"site": "south", "floor": "2"},
        "south",
    )
    cab.agent.sync()
    there = fleets.owners["south"].listen().devices["cab-1"]
    assert there.report is not None
    assert (there.report.release, there.report.counter) == (1, fleets.owners["south"].fleet().state.counter)  # type: ignore[union-attr]
    assert there.labels == {"site": "south", "floor": "2"}
    assert "belongs to south from now on" in "".join(cab.said)
    assert fleets.owners["north"].fleet().devices["cab-1"].moved.endswith("/edge/south")
    with pytest.raises(FileError, match="has moved to south"):
        fleets.groups.label("north", "cab-1", ["site=north"])

    # The state of its first group leads nobody any more who has arrived.
    fleets.release("north")
    assert fleets.owners["north"].fleet().state.moved == {}  # type: ignore[union-attr]


def test_a_device_that_was_away_while_it_moved_twice_finds_its_last_group_also_after_a_restart(fleets: Fleets) -> None:
    cab = fleets.device("north", "cab-1")
    cab.agent.sync()
    fleets.groups.label("north", "cab-1", ["site=south"])
    fleets.groups.label("south", "cab-1", ["site=east"])
    cab.agent.sync()
    assert cab.disk.followed(cab.agent._identity).group == "east"
    cab.restart()
    fleets.release("east")
    cab.agent.sync()
    there = fleets.owners["east"].listen().devices["cab-1"]
    assert (there.report is not None, there.home.endswith("/edge/north")) == (True, True)


def test_a_device_that_comes_back_takes_no_state_of_its_group_that_is_older_than_what_it_took(
    fleets: Fleets, place: str
) -> None:
    cab = fleets.device("north", "cab-1")
    cab.agent.sync()
    north = EdgePlace(parse_reference(fleets.owners["north"].place))
    old = north.read(STATE_TAG)
    fleets.groups.label("north", "cab-1", ["site=south"])
    cab.agent.sync()
    fleets.groups.label("south", "cab-1", ["site=north"])
    assert old is not None
    cab.agent.sync()
    assert cab.disk.followed(cab.agent._identity).group == "north"
    north.write(STATE_TAG, old)
    cab.agent.sync()
    assert "the state is an old one" in "".join(cab.said)
    north.close()


def test_reports_of_an_earlier_stay_do_not_count(fleets: Fleets) -> None:
    cab = fleets.device("north", "cab-1")
    cab.agent.sync()
    place = EdgePlace(parse_reference(fleets.owners["north"].place))
    old = place.read("report-cab-1")
    fleets.owners["north"].listen()
    for group, site in (("north", "south"), ("south", "north")):
        fleets.groups.label(group, "cab-1", [f"site={site}"])
        cab.agent.sync()
        fleets.owners[site].listen()
    assert old is not None
    known = fleets.owners["north"].fleet().devices["cab-1"].report
    place.write("report-cab-1", old)
    assert fleets.owners["north"].listen().devices["cab-1"].report == known
    assert "its report is an old one" in "".join(fleets.said)
    place.close()


def test_a_device_that_is_revoked_on_its_way_is_revoked_in_both_groups(fleets: Fleets) -> None:
    cab = fleets.device("north", "cab-1")
    cab.agent.sync()
    fleets.groups.label("north", "cab-1", ["site=south"])
    with pytest.raises(FileError, match="has moved to south"):
        fleets.groups.revoke("north", "cab-1")
    fleets.groups.revoke("south", "cab-1")
    key = str(cab.disk.keys.signer().public_key.keyid)
    for name in ("north", "south"):
        state = fleets.owners[name].fleet().state
        assert state is not None
        assert (key in state.revoked, key in state.moved) == (True, False)


def test_a_name_that_another_device_has_in_the_new_group_is_refused_and_nothing_moves(fleets: Fleets) -> None:
    fleets.device("north", "cab-1")
    fleets.directory = fleets.directory / "other"
    fleets.device("south", "cab-1")
    with pytest.raises(FileError, match="south has another device of the name cab-1"):
        fleets.groups.label("north", "cab-1", ["site=south"])
    assert fleets.owners["north"].fleet().devices["cab-1"].moved == ""
    with pytest.raises(FileError, match="no group takes a device with site=west"):
        fleets.groups.label("north", "cab-1", ["site=west"])


def test_devices_follow_a_file_whose_groups_ask_for_other_labels(fleets: Fleets, tmp_path: Path) -> None:
    cab = fleets.device("north", "cab-1")
    fleets.groups._selectors = {"north": {"site": "elsewhere"}, "south": {"site": "north"}}
    assert list(fleets.groups.assign()) == ["cab-1 goes from north to south"]
    assert list(fleets.groups.assign()) == []
    cab.agent.sync()
    assert cab.disk.followed(cab.agent._identity).group == "south"


def test_a_device_that_may_not_look_at_its_new_place_stays_where_its_owner_reaches_it(
    fleets: Fleets, monkeypatch: pytest.MonkeyPatch
) -> None:
    cab = fleets.device("north", "cab-1")
    cab.agent.sync()
    fleets.groups.label("north", "cab-1", ["site=south"])
    digest = EdgePlace.digest

    def forbidden(place: EdgePlace, tag: str) -> str:
        if place.reference.name.endswith("/south"):
            raise RegistryError("the registry refuses this login", status=403, where=place.reference.name)
        return digest(place, tag)

    with monkeypatch.context() as patched:
        patched.setattr(EdgePlace, "digest", forbidden)
        cab.agent.sync()
        cab.agent.sync()
    assert ["refuses this login" in line for line in cab.said if line.startswith("move:")] == [True]
    report = fleets.owners["north"].listen().devices["cab-1"].report
    assert report is not None
    assert "refuses this login" in report.problem
    cab.agent.sync()
    assert cab.disk.followed(cab.agent._identity).group == "south"
    report = fleets.owners["south"].listen().devices["cab-1"].report
    assert report is not None
    assert report.problem == ""


def test_a_link_that_is_down_is_told_once_and_is_no_problem_when_it_is_back(
    fleets: Fleets, monkeypatch: pytest.MonkeyPatch
) -> None:
    cab = fleets.device("north", "cab-1")

    def down(*_: object) -> str:
        raise RegistryError("the registry does not answer", where="r.example")

    with monkeypatch.context() as patched:
        for name in ("digest", "write"):
            patched.setattr(EdgePlace, name, down)
        for _ in range(3):
            cab.agent.sync()
    told = [line for line in cab.said if "does not answer" in line]
    assert [line.partition(":")[0] for line in told] == ["sync", "report"]
    cab.agent.sync()
    report = fleets.owners["north"].listen().devices["cab-1"].report
    assert report is not None
    assert report.problem == ""
