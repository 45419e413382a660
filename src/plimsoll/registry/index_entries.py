"""What the entries of a registry's index are: numbered versions, tags, and attestations. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from plimsoll.errors import FileError, ModelRefused
from plimsoll.registry.layout import REFERENCE_ANNOTATION, RESTORE_HINT, Descriptor
from plimsoll.registry.versions import ModelVersion

MODEL_ARTIFACT = "application/vnd.plimsoll.model.v1"
MODEL_ANNOTATION = "dev.plimsoll.model"
"""On the index entry of an attestation: the model of that version."""
SUBJECT_ANNOTATION = "dev.plimsoll.subject"
"""On the index entry of an attestation: the digest of the version that it describes."""


def is_tag(entry: Descriptor) -> bool:
    """Whether an index entry is named by a tag and not by a version number."""
    return not entry.annotations.get(REFERENCE_ANNOTATION, "").rpartition(":")[2].isdigit()


def is_numbered(entry: Descriptor) -> bool:
    """Whether an index entry is a model named by a version number."""
    return entry.artifact_type == MODEL_ARTIFACT and not is_tag(entry)


def is_entry_of(entry: Descriptor, version: ModelVersion) -> bool:
    """Whether an index entry names a version by its number."""
    return entry.annotations.get(REFERENCE_ANNOTATION) == f"{version.name}:{version.version}"


def tags_of(entries: Iterable[Descriptor], version: ModelVersion) -> list[str]:
    """The tags of a version."""
    tagged = (entry for entry in entries if entry.digest == version.digest and is_tag(entry))
    return [name.rpartition(":")[2] for entry in tagged if (name := entry.annotations.get(REFERENCE_ANNOTATION))]


def require_tag(tag: str) -> None:
    """Raise FileError for text that cannot be a tag."""
    if not re.fullmatch(r"[a-z][a-z0-9_.-]{0,62}", tag):
        hint = "a tag starts with a lower-case letter and contains lower-case letters, digits, '.', '_' and '-'"
        raise FileError(f"'{tag}' cannot be a tag", where="--tag", hint=hint)


def require_newest(entries: Sequence[Descriptor], name: str, root: Path) -> None:
    """Raise ModelRefused when a signed version is not listed: a search must not give an older one in its place."""
    names = {entry.digest: entry.annotations.get(REFERENCE_ANNOTATION, "") for entry in entries if is_numbered(entry)}
    listed = {digest for digest, found in names.items() if found.startswith(f"{name}:")}
    for entry in entries:
        annotations = entry.annotations
        if annotations.get(MODEL_ANNOTATION) == name and annotations.get(SUBJECT_ANNOTATION) not in listed:
            message = f"a version of '{name}' is signed and no longer listed"
            raise ModelRefused(message, where=str(root / "index.json"), hint=RESTORE_HINT)
