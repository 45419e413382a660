"""Label and field selectors: read once, asked of many objects. Source: apimachinery's labels.Parse and fields.Parse."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from plimsoll.kubernetes.memory.refusals import Manifest, bad_request

Test = Callable[[Manifest], bool]
_SET = re.compile(r"(!?)\s*([^\s!=,()]+)\s*(?:(notin|in)\s*\(([^()]*)\)|(==|!=|=)\s*([^\s!=,()]*))?")
_PIECE = re.compile(r"[^,(]+(?:\([^)]*\))?[^,]*")
_KEY = re.compile(r"([a-z0-9.-]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_FIELDS: Mapping[tuple[str, str], frozenset[str]] = {
    ("", "pods"): frozenset(
        {
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
        }
    ),
    ("", "nodes"): frozenset({"spec.unschedulable"}),
    ("", "namespaces"): frozenset({"status.phase"}),
    ("", "secrets"): frozenset({"type"}),
    ("", "events"): frozenset(
        {
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "reason",
            "type",
        }
    ),
    ("batch", "jobs"): frozenset({"status.successful"}),
}
_COMMON = frozenset({"metadata.name", "metadata.namespace"})


def of_labels(text: str) -> Test:
    """The test of a labelSelector. Raises StatusError (400) for one that cannot be read."""
    tests = [_label_test(piece.strip(), text) for piece in _PIECE.findall(text)] if text.strip() else []
    return lambda found: all(test(found["metadata"].get("labels") or {}) for test in tests)


def _label_test(piece: str, whole: str) -> Test:
    found = _SET.fullmatch(piece)
    if found is None or not _KEY.fullmatch(found[2]) or (found[1] and (found[3] or found[5])):
        raise bad_request(f"unable to parse requirement: found {piece!r} in {whole!r}")
    negated, key, among, listed, operator, value = found.groups()
    values = {each.strip() for each in listed.split(",")} if listed is not None else {value}
    if negated:
        return lambda labels: key not in labels
    if among == "in" or operator in ("=", "=="):
        return lambda labels: key in labels and labels[key] in values
    if among == "notin" or operator == "!=":
        return lambda labels: labels.get(key) not in values
    return lambda labels: key in labels


def of_fields(text: str, resource: tuple[str, str]) -> Test:
    """The test of a fieldSelector. Raises StatusError (400) for a field that the resource is not selected by."""
    known = _COMMON | _FIELDS.get(resource, frozenset())
    tests: list[tuple[str, bool, str]] = []
    for piece in filter(None, text.split(",")):
        found = re.fullmatch(r"([^=!]+)(==|!=|=)(.*)", piece)
        if found is None:
            raise bad_request(f"invalid selector: {text!r}; can't understand {piece!r}")
        if found[1] not in known:
            raise bad_request(f'field label not supported: "{found[1]}"')
        tests.append((found[1], found[2] != "!=", found[3]))
    return lambda found: all((_field(found, name) == value) is wanted for name, wanted, value in tests)


def _field(found: Manifest, name: str) -> str:
    value: Any = found
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def of_object(selector: Manifest | None) -> Test:
    """The test of a LabelSelector as objects carry it; none at all selects nothing, an empty one everything."""
    if selector is None:
        return lambda _: False
    pieces = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or []:
        key, values = each["key"], ",".join(each.get("values") or [])
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        pieces.append(forms.get(each["operator"], f"!{key}"))
    return of_labels(",".join(pieces))
