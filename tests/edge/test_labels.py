"""Labels of devices: how they are written, and the one group to which a device belongs by them."""

from __future__ import annotations

import pytest

from plimsoll.edge.labels import changed_labels, group_of, joined_labels, parsed_labels
from plimsoll.errors import FileError

SELECTORS = {"north": {"site": "north"}, "south": {"site": "south"}, "lifts": {"kind": "lift"}}


@pytest.mark.parametrize("word", ["site", "=north", "site=", "si te=x", "site=a b", "-x=1", "site=" + "x" * 64, "s=ü"])
def test_a_word_that_is_no_label_is_refused_with_how_one_is_written(word: str) -> None:
    with pytest.raises(FileError, match="is no label") as raised:
        parsed_labels([word])
    assert "--label site=north" in raised.value.hint


def test_a_label_with_two_values_and_too_many_labels_are_refused() -> None:
    with pytest.raises(FileError, match="two values"):
        parsed_labels(["a=1", "a=2"])
    with pytest.raises(FileError, match="at most 32"):
        parsed_labels([f"a{number}=1" for number in range(33)])


def test_labels_are_set_replaced_and_removed_in_one_go() -> None:
    assert changed_labels({"a": "1", "b": "2"}, ["a=3", "b-", "c=4"]) == {"a": "3", "c": "4"}
    with pytest.raises(FileError, match="no label 'd'"):
        changed_labels({"a": "1"}, ["d-"])
    with pytest.raises(FileError, match="is no label"):
        changed_labels({"a": "1"}, ["d"])


def test_a_device_that_joins_has_the_labels_of_its_group_and_no_others_of_the_name() -> None:
    assert joined_labels("north", {"owner": "x"}, SELECTORS) == {"site": "north", "owner": "x"}
    assert joined_labels("cabs", {"site": "north"}, SELECTORS) == {"site": "north"}
    with pytest.raises(FileError, match="takes devices with site=north, and this one has site=south"):
        joined_labels("north", {"site": "south"}, SELECTORS)
    with pytest.raises(FileError, match="in north and in lifts"):
        joined_labels("north", {"kind": "lift"}, SELECTORS)


def test_a_device_is_in_the_one_group_of_its_labels_and_stays_where_a_group_asks_for_none() -> None:
    assert group_of("north", {"site": "south"}, SELECTORS) == "south"
    assert group_of("cabs", {"site": "south"}, SELECTORS) == "cabs"
    with pytest.raises(FileError, match="no group takes a device with site=east") as raised:
        group_of("north", {"site": "east"}, SELECTORS)
    assert "north: site=north; south: site=south" in raised.value.hint
    with pytest.raises(FileError, match="in south and in lifts"):
        group_of("north", {"site": "south", "kind": "lift"}, SELECTORS)
