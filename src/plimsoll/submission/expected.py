"""What a version asks for: from the official template when it is at hand, else from our own table."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from plimsoll.capabilities.requirements import REQUIREMENTS, VERSIONS
from plimsoll.errors import FileError
from plimsoll.submission.fingerprints import FINGERPRINTS
from plimsoll.submission.questionnaire import Entry, Questionnaire, read_questionnaire

# MUSTs that may be N/A with a reason. Source: validate.go of cncf/k8s-ai-conformance since September 2026.
MAY_NOT_APPLY = frozenset({"cluster_autoscaling"})


class Expected(Struct, frozen=True, kw_only=True):
    """Requirements of a version: `levels` and `categories` by id; `descriptions` only from a template."""

    version: str
    levels: Mapping[str, str]
    categories: Mapping[str, str]
    descriptions: Mapping[str, str] = {}


def expected(version: str) -> Expected | None:
    """Our own table for a version; None for one that it does not have."""
    if version not in VERSIONS:
        return None
    wanted = [each for each in REQUIREMENTS.values() if version in each.levels]
    return Expected(
        version=version,
        levels={each.id: each.levels[version] for each in wanted},
        categories={each.id: each.category for each in wanted},
    )


def from_template(path: Path) -> Expected:
    """What a template asks for. Raises FileError when it is none."""
    template = read_questionnaire(path)
    entries: list[Entry] = [each for each in template.entries if each.id and each.level]
    if not template.stated or not entries:
        raise FileError(
            "this is no official template: it has no kubernetesVersion or no requirements",
            where=template.file,
            hint="take docs/AIConformance-X.Y.yaml of github.com/cncf/k8s-ai-conformance",
        )
    return Expected(
        version=template.stated,
        levels={each.id: each.level for each in entries},
        categories={each.id: each.category for each in entries},
        descriptions={each.id: each.description for each in entries},
    )


def version_of(questionnaire: Questionnaire) -> str:
    """The version by which a questionnaire is judged: its directory's, as the validator does, else the stated one."""
    return questionnaire.placed or questionnaire.stated


def same_text(one: str, other: str) -> bool:
    """Whether two descriptions are the same but for spaces, quotes and dashes."""
    return _plain(one) == _plain(other)


def known_text(requirement: str, description: str) -> bool | None:
    """Whether a description is the official one of any version; None for a requirement that we know no text of."""
    fingerprints = FINGERPRINTS.get(requirement)
    return None if fingerprints is None else fingerprint(description) in fingerprints


def fingerprint(description: str) -> str:
    """Digest of a text but for spaces, quotes and dashes: official sentences are recognised and not shipped."""
    return hashlib.sha256(_plain(description).encode()).hexdigest()[:24]


def _plain(text: str) -> str:
    for odd, plain in (("‘’`", "'"), ("“”", '"'), ("–—‑", "-")):
        text = re.sub(f"[{odd}]", plain, text)
    return " ".join(text.split()).rstrip(".")
