"""Deleted versions in the index: their numbers stay taken, so that a reference never means another model. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from plimsoll.registry.index_entries import SUBJECT_ANNOTATION
from plimsoll.registry.layout import Descriptor
from plimsoll.registry.versions import ModelVersion

DELETED_ARTIFACT = "application/vnd.plimsoll.deleted.v1"
DELETED_ANNOTATION = "dev.plimsoll.deleted"
"""On the entry of a deleted version: the name and number that it had."""
DIGEST_ANNOTATION = "dev.plimsoll.deleted.digest"
DATE_ANNOTATION = "dev.plimsoll.deleted.date"


def without_versions(
    entries: Iterable[Descriptor], versions: Collection[ModelVersion], empty: Descriptor, now: datetime
) -> list[Descriptor]:
    """The entries without those of versions and of what describes them, and with one for each number that is gone.

    `empty` is the blob that the new entries lead to.
    """
    digests = {version.digest for version in versions}
    kept = [
        entry
        for entry in entries
        if entry.digest not in digests and entry.annotations.get(SUBJECT_ANNOTATION) not in digests
    ]
    gone = [
        Descriptor(
            media_type=empty.media_type,
            digest=empty.digest,
            size=empty.size,
            artifact_type=DELETED_ARTIFACT,
            annotations={
                DELETED_ANNOTATION: f"{version.name}:{version.version}",
                DIGEST_ANNOTATION: version.digest,
                DATE_ANNOTATION: f"{now.astimezone(UTC):%Y-%m-%d}",
            },
        )
        for version in versions
    ]
    return [*kept, *gone]


def highest_deleted(entries: Iterable[Descriptor], name: str) -> int:
    """The highest number of a model's deleted versions; 0 without one."""
    numbers = (_named(entry).rpartition(":") for entry in entries)
    return max((int(number) for found, _, number in numbers if found == name and number.isdigit()), default=0)


def deleted_version(entries: Iterable[Descriptor], name: str, number: str) -> Descriptor | None:
    """The entry that says that a version was deleted; None for one that was not."""
    return next((entry for entry in entries if _named(entry) == f"{name}:{number}"), None)


def _named(entry: Descriptor) -> str:
    return entry.annotations.get(DELETED_ANNOTATION, "") if entry.artifact_type == DELETED_ARTIFACT else ""
