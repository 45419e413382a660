"""Which names, labels and annotations an API server takes. Source: apimachinery's validation."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Any

from plimsoll.kubernetes.memory.refusals import Cause, Manifest

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_LONGEST_LABEL, _LONGEST_SUBDOMAIN, _LARGEST_ANNOTATIONS = 63, 253, 256 << 10
_RULES = {
    "label": (_LABEL, _LONGEST_LABEL, "a lowercase RFC 1123 label must consist of lower case alphanumeric characters"),
    "label1035": (_LABEL_1035, _LONGEST_LABEL, "a DNS-1035 label must start with an alphabetic character"),
    "subdomain": (_SUBDOMAIN, _LONGEST_SUBDOMAIN, "a lowercase RFC 1123 subdomain must consist of lower case letters"),
}
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED = 5


def generated(prefix: str) -> str:
    """A name for metadata.generateName: the prefix, cut to fit, and five random characters."""
    return prefix[: _LONGEST_LABEL - _GENERATED] + "".join(secrets.choice(_ALPHABET) for _ in range(_GENERATED))


def name_problem(name: str, naming: str) -> str:
    """Why a name is refused under a rule (label, label1035, subdomain or path); empty when it is taken."""
    if naming == "path":
        return "may not be '.', '..' or contain '/' or '%'" if name in (".", "..") or {"/", "%"} & set(name) else ""
    pattern, longest, rule = _RULES[naming]
    if len(name) > longest:
        return f"must be no more than {longest} characters"
    return "" if pattern.fullmatch(name) else rule


def metadata_causes(metadata: Manifest, naming: str) -> Iterator[Cause]:
    """What is wrong with an object's metadata."""
    name = metadata.get("name", "")
    if not name:
        yield Cause(field="metadata.name", message="Required value: name or generateName is required", reason=REQUIRED)
    elif problem := name_problem(name, naming):
        yield wrong("metadata.name", name, problem)
    yield from label_causes(metadata.get("labels") or {}, "metadata.labels")
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        if problem := _key_problem(key.lower()):
            yield wrong("metadata.annotations", key, problem)
    if sum(len(key) + len(str(value)) for key, value in annotations.items()) > _LARGEST_ANNOTATIONS:
        message = f"Too long: may not be more than {_LARGEST_ANNOTATIONS} bytes"
        yield Cause(field="metadata.annotations", message=message, reason="FieldValueTooLong")
    for finalizer in metadata.get("finalizers") or []:
        if problem := _key_problem(finalizer):
            yield wrong("metadata.finalizers", finalizer, problem)


REQUIRED = "FieldValueRequired"


def label_causes(labels: Manifest, field: str) -> Iterator[Cause]:
    """What is wrong with labels."""
    for key, value in labels.items():
        if problem := _key_problem(key):
            yield wrong(field, key, problem)
        if problem := _value_problem(str(value)):
            yield wrong(field, value, problem)


def data_key_causes(data: Manifest, field: str) -> Iterator[Cause]:
    """What is wrong with the keys of a ConfigMap or a Secret."""
    for key in data:
        if len(key) > _LONGEST_SUBDOMAIN or not _CONFIG_KEY.fullmatch(key) or key in (".", ".."):
            yield wrong(f"{field}[{key}]", key, "a valid config key must consist of alphanumeric characters, '-', '_'")


def wrong(field: str, value: Any, problem: str) -> Cause:
    """The cause of a value that is not valid."""
    told = f'"{value}"' if isinstance(value, str) else str(value)
    return Cause(field=field, message=f"Invalid value: {told}: {problem}")


def _key_problem(key: str) -> str:
    prefix, slash, name = key.rpartition("/")
    if slash and (problem := name_problem(prefix, "subdomain")):
        return f"prefix part {problem}"
    if len(name) > _LONGEST_LABEL:
        return f"name part must be no more than {_LONGEST_LABEL} characters"
    return "" if _QUALIFIED.fullmatch(name) else "name part must consist of alphanumeric characters, '-', '_' or '.'"


def _value_problem(value: str) -> str:
    if len(value) > _LONGEST_LABEL:
        return f"must be no more than {_LONGEST_LABEL} bytes"
    if not value or _QUALIFIED.fullmatch(value):
        return ""
    return "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'"
