"""The programme's requirements by version."""

from __future__ import annotations

import pytest

from plimsoll.capabilities.requirements import MUST, PROFILES, REQUIREMENTS, SHOULD, profile


@pytest.mark.parametrize(
    ("name", "musts", "shoulds"),
    [
        ("cncf-1.33", 8, 1),
        ("cncf-1.34", 9, 0),
        ("cncf-1.35", 9, 3),
        ("cncf-1.36", 8, 6),
        ("cncf-1.37", 8, 7),
        ("tenants", 1, 0),
    ],
)
def test_every_version_has_its_number_of_requirements(name: str, musts: int, shoulds: int) -> None:
    levels = list(profile(name).values())
    assert (levels.count(MUST), levels.count(SHOULD)) == (musts, shoulds)


def test_claims_by_attribute_are_asked_for_until_1_35() -> None:
    assert [name for name in PROFILES if "dra_support" in profile(name)] == ["cncf-1.33", "cncf-1.34", "cncf-1.35"]


@pytest.mark.parametrize("name", ["cncf-1.32", "1.37", "cncf", "platform2", ""])
def test_an_unknown_profile_is_none(name: str) -> None:
    with pytest.raises(KeyError):
        profile(name)


def test_every_requirement_is_in_some_version_and_has_words() -> None:
    for each in REQUIREMENTS.values():
        assert each.levels
        assert each.summary
