"""Compare two versions of a model. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from plimsoll.registry.versions import ModelVersion


class VersionComparison(Struct, frozen=True, kw_only=True):
    """`metrics` has both values; `None` means not measured. `changed` lists the differences by kind, such as `code`.

    `comparable`: the metrics were measured on the same data.
    """

    first: str
    second: str
    metrics: Mapping[str, tuple[float | None, float | None]]
    changed: Mapping[str, tuple[str, ...]]
    comparable: bool = True


def compare_versions(first: ModelVersion, second: ModelVersion) -> VersionComparison:
    """The differences of two versions in metrics, lineage and files."""
    names = dict.fromkeys([*first.metrics, *second.metrics])
    single = {
        "environment": (first.lineage.environment[:12], second.lineage.environment[:12]),
        "command": (first.lineage.command, second.lineage.command),
        "framework": (first.framework, second.framework),
        **({"base": (_base(first), _base(second))} if first.lineage.base or second.lineage.base else {}),
    }
    return VersionComparison(
        first=first.reference,
        second=second.reference,
        comparable=not other_data(first.lineage.data, second.lineage.data),
        metrics={name: (first.metrics.get(name), second.metrics.get(name)) for name in names},
        changed={
            "data": other_data(first.lineage.data, second.lineage.data),
            "code": _changed_names(first.lineage.code, second.lineage.code),
            **_of_indexes(first, second),
            **{kind: (f"{left} → {right}",) if left != right else () for kind, (left, right) in single.items()},
            "files": _changed_names(
                {name: entry.digest for name, entry in first.files.items()},
                {name: entry.digest for name, entry in second.files.items()},
            ),
        },
    )


def _base(version: ModelVersion) -> str:
    """The version that an adapter is of, with its digest; empty for a model."""
    base = version.lineage.base
    return f"{base.reference} {base.digest[7:19]}" if base else ""


def _of_indexes(first: ModelVersion, second: ModelVersion) -> Mapping[str, tuple[str, ...]]:
    """The settings that two versions of an index were not both built with; nothing for models."""
    left, right = first.lineage.index, second.lineage.index
    if left is None or right is None:
        return {}
    names = (each for each in left.__struct_fields__ if getattr(left, each) != getattr(right, each))
    return {"index": tuple(f"{each} {getattr(left, each)} → {getattr(right, each)}" for each in names)}


def other_data(first: Mapping[str, str], second: Mapping[str, str]) -> tuple[str, ...]:
    """The names of data, by their digests in two lineages, that are not the same in both."""
    return _changed_names(first, second)


def _changed_names(left: Mapping[str, str], right: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in {*left, *right} if left.get(name) != right.get(name)))
