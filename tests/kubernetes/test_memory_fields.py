"""Sets of fields and patches, by their rules: what is written is read again, and the examples of the standards hold."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.kubernetes.memory import managers, patches
from plimsoll.kubernetes.memory.applying import applied
from plimsoll.kubernetes.memory.field_sets import decoded, encoded
from plimsoll.kubernetes.memory.kinds import ADDONS, BUILT_IN, ServedKinds
from plimsoll.kubernetes.memory.managers import Manager
from plimsoll.kubernetes.memory.refusals import StatusError

KINDS = ServedKinds([*BUILT_IN, *(each for found in ADDONS.values() for each in found)])
CONFIG_MAP = KINDS.by_plural("v1", "configmaps")
FIRST, SECOND = (Manager(name=name, operation="Apply") for name in ("first", "second"))
PATHS = st.frozensets(
    st.lists(st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', "v:1"]), min_size=1, max_size=4).map(tuple)
)
DATA = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz"))


@given(PATHS)
def test_a_set_of_fields_is_read_as_it_was_written(paths: frozenset[tuple[str, ...]]) -> None:
    assert decoded(encoded(paths)) == paths


@given(DATA, DATA, DATA)
def test_who_applies_last_has_what_it_applied_and_others_have_the_rest(
    theirs: dict[str, str], before: dict[str, str], after: dict[str, str]
) -> None:
    assert CONFIG_MAP is not None
    live: dict[str, Any] = {"metadata": {"name": "one"}}
    for data, manager in ((theirs, FIRST), (before, SECOND), (after, SECOND)):
        live, owners = applied(CONFIG_MAP, live, {"metadata": {}, "data": data}, manager, force=True)
        managers.write(live, owners)
    # Fields that the second took from the first and then let go of are nobody's, and gone.
    taken = {key for key, value in before.items() if theirs.get(key, value) != value}
    kept = {key: value for key, value in theirs.items() if key not in taken}
    assert live.get("data", {}) == {**kept, **after}


@given(DATA)
def test_to_apply_the_same_again_changes_nothing(data: dict[str, str]) -> None:
    assert CONFIG_MAP is not None
    wanted = {"metadata": {"labels": data}, "data": data}
    once, owners = applied(CONFIG_MAP, {"metadata": {}}, wanted, FIRST, force=False)
    managers.write(once, owners)
    again, after = applied(CONFIG_MAP, once, wanted, FIRST, force=False)
    managers.write(again, after)
    assert again == once


@pytest.mark.parametrize(
    ("live", "change", "wanted"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_do_as_the_examples_of_the_standard(live: Any, change: Any, wanted: Any) -> None:
    """RFC 7386, appendix A."""
    assert patches.merged(live, change) == wanted


@pytest.mark.parametrize(
    ("live", "steps", "wanted"),
    [
        ({"foo": ["a", "c"]}, [{"op": "add", "path": "/foo/1", "value": "b"}], {"foo": ["a", "b", "c"]}),
        ({"foo": ["a"]}, [{"op": "add", "path": "/foo/-", "value": "b"}], {"foo": ["a", "b"]}),
        ({"foo": ["a", "b"]}, [{"op": "remove", "path": "/foo/0"}], {"foo": ["b"]}),
        ({"foo": ["a", "b"]}, [{"op": "replace", "path": "/foo/0", "value": "c"}], {"foo": ["c", "b"]}),
        ({"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}], {"b": 1}),
        ({"a": {"x": 1}}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": {"x": 1}, "b": {"x": 1}}),
        ({"a/b": 1, "m~n": 2}, [{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/m~0n"}], {}),
    ],
)
def test_json_patches_do_as_the_standard_says(live: Any, steps: Any, wanted: Any) -> None:
    assert patches.edited(live, steps) == wanted


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([{"op": "remove", "path": "/none"}], 422),
        ([{"op": "replace", "path": "/none", "value": 1}], 422),
        ([{"op": "add", "path": "/list/9", "value": 1}], 422),
        ([{"op": "add", "path": "list", "value": 1}], 422),
        ([{"op": "copy", "path": "/b", "from": "/none"}], 422),
        ([{"op": "invent", "path": "/list"}], 400),
        ({"op": "remove"}, 400),
    ],
)
def test_a_json_patch_that_cannot_be_done_is_refused(steps: Any, code: int) -> None:
    with pytest.raises(StatusError) as refused:
        patches.edited({"list": [1]}, steps)
    assert refused.value.code == code
