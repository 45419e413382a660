"""Two versions of a model side by side. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from plimsoll.registry.models import ModelVersion


class Comparison(Struct, frozen=True, kw_only=True):
    """`metrics` has both values, `None` where one was not measured; `changed` names what differs, by kind."""

    first: str
    second: str
    metrics: Mapping[str, tuple[float | None, float | None]]
    changed: Mapping[str, tuple[str, ...]]


def compare(first: ModelVersion, second: ModelVersion) -> Comparison:
    """What differs between two versions in figures and in what they were made from."""
    names = dict.fromkeys([*first.metrics, *second.metrics])
    single = {
        "environment": (first.lineage.environment[:12], second.lineage.environment[:12]),
        "command": (first.lineage.command, second.lineage.command),
        "framework": (first.framework, second.framework),
    }
    return Comparison(
        first=first.reference,
        second=second.reference,
        metrics={name: (first.metrics.get(name), second.metrics.get(name)) for name in names},
        changed={
            "data": _differing(first.lineage.data, second.lineage.data),
            "code": _differing(first.lineage.code, second.lineage.code),
            **{kind: (f"{left} → {right}",) if left != right else () for kind, (left, right) in single.items()},
            "files": _differing(
                {name: entry.digest for name, entry in first.files.items()},
                {name: entry.digest for name, entry in second.files.items()},
            ),
        },
    )


def _differing(left: Mapping[str, str], right: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in {*left, *right} if left.get(name) != right.get(name)))
