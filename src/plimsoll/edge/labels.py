"""Labels of devices: how they are written, and the one group to which a device belongs by them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from plimsoll.application.scalars import LABEL_PATTERN
from plimsoll.errors import FileError
from plimsoll.kinds.edge import labels_text

_MOST = 32
_PART = re.compile(LABEL_PATTERN)
_HINT = "write --label site=north: letters, digits, '-', '_' and '.', at most 63 of them on each side"


def parsed_labels(given: Iterable[str]) -> dict[str, str]:
    """The labels of words such as `site=north`. Raises FileError."""
    found: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (equals and _PART.fullmatch(name) and _PART.fullmatch(value)):
            raise FileError(f"'{each[:80]}' is no label", hint=_HINT)
        if found.setdefault(name, value) != value:
            raise FileError(f"the label '{name}' has two values here", hint="give it one")
    if len(found) > _MOST:
        raise FileError(f"a device has at most {_MOST} labels, and these are {len(found)}", hint="leave some out")
    return found


def changed_labels(labels: Mapping[str, str], words: Iterable[str]) -> dict[str, str]:
    """The labels after changes such as `site=north`, or `site-` for none of that name. Raises FileError."""
    words = list(words)
    removed = [each[:-1] for each in words if each.endswith("-") and "=" not in each]
    for name in removed:
        if name not in labels:
            known = labels_text(labels) or "none"
            raise FileError(f"the device has no label '{name[:80]}'", hint=f"its labels are: {known}")
    set_ = parsed_labels(each for each in words if "=" in each or not each.endswith("-"))
    return {**{name: value for name, value in labels.items() if name not in removed}, **set_}


def has_labels(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a device has all of the wanted labels."""
    return wanted.items() <= labels.items()


def joined_labels(group: str, given: Mapping[str, str], selectors: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The labels of a device that joins a group: those that the group asks for go with those that are given.

    Raises FileError for labels of another group.
    """
    wanted = selectors.get(group, {})
    for name, value in wanted.items():
        if given.get(name, value) != value:
            text = f"the group {group} takes devices with {labels_text(wanted)}, and this one has {name}={given[name]}"
            raise FileError(text, hint="enroll it into the group of its labels, or change the label")
    labels = {**wanted, **given}
    if wanted:
        group_of(group, labels, selectors)
    return labels


def group_of(group: str, labels: Mapping[str, str], selectors: Mapping[str, Mapping[str, str]]) -> str:
    """The group of a device that is in `group`, by its labels. A group without labels keeps its devices.

    Raises FileError for labels of no group, or of several.
    """
    if group not in selectors:
        return group
    found = [name for name, wanted in selectors.items() if has_labels(labels, wanted)]
    told = labels_text(labels) or "no label"
    if not found:
        groups = "; ".join(f"{name}: {labels_text(wanted)}" for name, wanted in selectors.items())
        raise FileError(f"no group takes a device with {told}", hint=f"groups and their labels are: {groups}")
    if len(found) > 1:
        text = f"a device with {told} would be in {' and in '.join(found)}"
        raise FileError(text, hint="a device is in one group: have the labels of the groups differ in a value")
    return found[0]
